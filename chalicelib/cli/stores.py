"""`causeway stores`: the tables and the bucket of a site that has no stack of CloudFormation or Terraform."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib import bootstrap
from chalicelib.cli.command import At, command, noun
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.serve import with_options
from chalicelib.domain.errors import Unavailable
from chalicelib.settings import Backend, Settings, SettingsError

T = TypeVar("T")
app = noun("stores", "The tables and the bucket a site keeps everything in, and the key to its secrets.")
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


def _done(flags: dict[str, Any], work: Callable[[Settings], T]) -> T:
    try:
        settings = Settings.read(backend=Backend.AWS, **flags)
    except SettingsError as problem:
        raise usage("; ".join(problem.problems)) from problem
    try:
        return work(settings)
    except SettingsError as problem:
        raise Failure(Exit.NO, "; ".join(problem.problems)) from problem
    except Unavailable as problem:
        raise Failure(Exit.UNREACHABLE, str(problem)) from problem


def _made(settings: Settings) -> list[str]:
    """Nothing is made for a site that could not be started over it."""
    key = settings.master_key_file
    if key is not None and not key.is_file():
        path = shlex.quote(str(key))
        raise usage(
            f"--master-key-file {key} is no file: (umask 077; openssl rand -hex 32 > {path}) makes one"
        )
    return bootstrap.create_stores(settings)


def _create(at: At, **flags: Any) -> None:
    """Make nine DynamoDB tables and the bucket, unless they are there.

    For DynamoDB Local and MinIO, and for trying things out on AWS: there, `causeway deploy apply` makes
    them with backups, encryption by a key of the site's own, notifications, roles and alarms.
    """
    made = _done(flags, _made)
    shown = ", ".join(made) if made else "nothing: everything was there"
    at.out.value({"made": made}, f"made {shown}")


def _rewrap(at: At, **flags: Any) -> None:
    """Put the master key that KMS keeps for the site under another KMS key, named by --kms-key.

    Needs kms:ReEncryptFrom on the key before and kms:ReEncryptTo on the new one. Functions that start between
    this and the deployment that names the new key to them fail and are started again. KMS's own yearly
    rotation needs none of this.
    """
    before, now = _done(flags, bootstrap.rewrap_master_key)
    at.out.value({"before": before, "now": now}, f"the master key is under {now} now, it was under {before}")


command(
    app,
    "create",
    "causeway stores create --site west --master-key-file west.key --blocks-bucket causeway-west-blocks "
    "--blocks-region us-west-2 --dynamodb-prefix causeway-west",
    "causeway stores create --site west --master-key-file west.key --blocks-bucket causeway-west-blocks "
    "--blocks-endpoint http://127.0.0.1:9000 --dynamodb-endpoint http://127.0.0.1:8000",
    site=False,
)(with_options(_create, _SETTINGS))

command(
    app,
    "rewrap",
    "causeway stores rewrap --site west --blocks-bucket causeway-west-blocks --blocks-region us-west-2 "
    "--dynamodb-prefix causeway-west --kms-key alias/causeway-west-new",
    site=False,
)(with_options(_rewrap, _SETTINGS))
