"""`causeway stores`: the tables and the bucket of a site that has no stack of CloudFormation or Terraform."""

from __future__ import annotations

from typing import Any

from chalicelib.cli.command import At, command, noun
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.serve import with_options
from chalicelib.settings import Backend, Settings, SettingsError

app = noun("stores", "Make the tables and the bucket a site keeps everything in.")
_SETTINGS = (
    "site",
    "blocks_bucket",
    "blocks_region",
    "blocks_endpoint",
    "dynamodb_prefix",
    "dynamodb_endpoint",
    "kms_key",
    "master_key_file",
)


def _create(at: At, **flags: Any) -> None:
    """Make nine DynamoDB tables and the bucket, unless they are there.

    For DynamoDB Local and MinIO, and for trying things out on AWS: there, `causeway deploy apply` makes
    them with backups, encryption by a key of the site's own, notifications, roles and alarms.
    """
    try:
        settings = Settings.read(backend=Backend.AWS, **flags)
    except SettingsError as problem:
        raise usage("; ".join(problem.problems)) from problem
    from chalicelib import bootstrap  # late: --help and wrong settings need no AWS

    try:
        made = bootstrap.create_stores(settings)
    except SettingsError as problem:
        raise Failure(Exit.NO, "; ".join(problem.problems)) from problem
    shown = ", ".join(made) if made else "nothing: everything was there"
    at.out.value({"made": made}, f"made {shown}")


command(
    app,
    "create",
    "causeway stores create --site west --master-key-file west.key --blocks-bucket west-blocks",
    "causeway stores create --site west --master-key-file west.key --blocks-bucket west-blocks "
    "--blocks-endpoint http://127.0.0.1:9000 --dynamodb-endpoint http://127.0.0.1:8000",
    site=False,
)(with_options(_create, _SETTINGS))
