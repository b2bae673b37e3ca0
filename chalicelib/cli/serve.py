"""`causeway serve`: one site on this machine, until it is told to stop.

Every setting is an option here and a variable CAUSEWAY_…; only the master key is never an option, since
other users of a machine can read command lines.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Annotated, Any

import typer

from chalicelib.cli.command import At, command
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.domain.errors import StoreError
from chalicelib.settings import Settings, SettingsError, variable_of

_HELP: dict[str, dict[str, str]] = {
    "The site": {
        "site": "Its name, unique among linked sites: a-z, 0-9 and -.",
        "primary": "The site that decides unique names; this one if unset.",
        "region": "The region clients must sign for; unset: any.",
        "read_only": "true: refuse what clients write; replicated records arrive.",
    },
    "Where it listens": {
        "host": "The address to listen on.",
        "port": "The port to listen on.",
        "public_url": "How clients and other sites reach it.",
        "base_domains": "Domains of virtual-host buckets, separated by commas.",
        "tls_cert": "Certificate chain, PEM.",
        "tls_key": "Its key, PEM.",
        "ca_file": "The CA that vouches for linked sites; unset: the system's.",
    },
    "What it keeps, and where": {
        "backend": "directory (files and SQLite) or aws (DynamoDB and a bucket).",
        "data": "The directory to keep everything in.",
        "blocks_bucket": "The bucket for blocks, in S3 or MinIO.",
        "blocks_prefix": "What their names begin with.",
        "blocks_region": "Its region.",
        "blocks_endpoint": "Its endpoint, if it is not AWS.",
        "blocks_access_key": "Of a MinIO that knows no role of AWS; its secret: CAUSEWAY_BLOCKS_SECRET_KEY.",
        "blocks_public_endpoint": "The same as clients of presigned URLs see it, if that is another.",
        "dynamodb_prefix": "What the tables' names begin with.",
        "dynamodb_endpoint": "Their endpoint, if it is not AWS.",
        "kms_key": "Of AWS KMS: the key that keeps this site's secrets.",
        "kms_endpoint": "Its endpoint, if it is not AWS.",
        "master_key_file": "The key secrets are encrypted under; unset: in the data directory.",
    },
    "Queues of SQS, shared with functions": {
        "documents_queue": "Its URL: what POST /causeway/events is told goes there; unset: is served here.",
        "fullsync_queue": "Messages of who drives which run next, for `causeway failed retry`.",
        "documents_dead_queue": "What was given up, for `causeway failed`.",
        "fullsync_dead_queue": "The same of fullsyncs.",
        "sqs_endpoint": "Their endpoint, if it is not AWS.",
        "queue_tries": "After how many failures a message is given up.",
    },
    "Limits": {
        "workers": "Processes that answer clients.",
        "threads": "Clients a process serves at a time.",
        "buffer_bytes": "Memory for blocks in flight, of each process.",
        "block_size": "How large objects are cut.",
        "inline_max": "Objects up to this size live in their record.",
        "leeway": "How long superseded blocks stay for readers.",
        "gc_hold": "How long an unreachable sink may keep superseded blocks alive.",
        "fullsync_interval": "How often links without an interval of their own are compared.",
    },
    "Log": {"log_level": "debug, info, warning or error.", "log_file": "Unset: standard error."},
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "serve",
        "causeway serve --site west --data west --port 9000",
        "causeway serve --site east --primary west --data east --port 9001",
        "CAUSEWAY_SITE=west CAUSEWAY_DATA=/var/lib/causeway causeway serve --host 0.0.0.0 "
        "--public-url https://west.example.com --tls-cert west.pem --tls-key west.key",
        site=False,
    )(with_options(_serve))


def with_options(work: Callable[..., None], only: Collection[str] = ()) -> Callable[..., None]:
    """`work` with one option for each setting, or for each of `only`."""
    secret = {each.name for each in fields(Settings) if each.metadata["secret"]}
    panels = [(panel, name, told) for panel, names in _HELP.items() for name, told in names.items()]
    parameters = [inspect.Parameter("at", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=At)]
    for panel, name, told in panels:
        if name in secret or (only and name not in only):
            continue
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            metavar="VALUE",
            help=f"{told} [{variable_of(name)}]".replace("[", r"\["),
            rich_help_panel=panel,
        )
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
            )
        )
    work.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return work


def _serve(at: At, **flags: Any) -> None:
    """Serve a site until Ctrl-C or SIGTERM.

    The first start of a data directory makes an administrator; its keys are in DIR/admin.json.
    """
    try:
        settings = Settings.read(**flags)
    except SettingsError as problem:
        raise usage("; ".join(problem.problems)) from problem
    from chalicelib.hosts.server import serve  # late: --help and wrong settings need no database

    try:
        status = serve(settings)
    except SettingsError as problem:  # they contradict what the site was set up with
        raise usage("; ".join(problem.problems)) from problem
    except StoreError as problem:
        raise Failure(Exit.NO, str(problem)) from problem
    except OSError as problem:
        where = f"at {settings.host}:{settings.port}"
        if problem.filename is not None:  # it is not the port
            where = f"with {problem.filename}"
        raise Failure(Exit.NO, f"cannot serve {where}: {problem.strerror or problem}") from problem
    if status:
        raise typer.Exit(status)
