"""Tables, bucket and keys of a site on AWS, looked at before the first request: all that is wrong is told.

    metadata, blocks, master_key, record = open_places(settings, powers, given)

Costs   one TransactGetItems over all tables, which brings the master key's row and the site's record; then
        one KMS Decrypt; beside them one TransactWriteItems that cannot come true and one GetObject of what
        is not there
Errors  SettingsError that names everything wrong: tables, bucket, region, permissions, credentials, KMS.
        A queue is not looked at: a function has messages because its queue is there
Source  issue "a clear error at start, not at the first request"; adapters/dynamodb/probe.py, s3_probe.py.
"""

from __future__ import annotations

from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from chalicelib.bootstrap import aws, master_key
from chalicelib.domain.errors import StoreError
from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.metadata import Metadata, Table
from chalicelib.replication.links import RECORD
from chalicelib.settings import Settings, SettingsError

START_TRIES = 2  # of a read: Lambda gives a start 10 s, and a connection takes 3 s to be given up
MADE_BY = (
    "`causeway deploy apply` makes tables and bucket on AWS, `causeway stores create` anywhere, such as on "
    "DynamoDB Local and MinIO"
)


@dataclass(frozen=True, slots=True)
class Powers:
    """What a process may do, as its role in IAM says."""

    founds: bool = True  # make the master key of a new site
    deletes: bool = True  # remove blocks
    raises: bool = True  # raise the version in the site's record after an upgrade
    writes: Set[Table] = frozenset(Table)
    bucket: bool = True  # read the bucket


EVERY_POWER = Powers()


def open_places(
    settings: Settings, powers: Powers, given: bytes | None
) -> tuple[Metadata, BlockStore, bytes, bytes | None]:
    """The site's stores, its master key, which is `given` where KMS does not keep it, and its record."""
    places, session = aws.own_places(settings), aws.aws_session()
    if session.get_credentials() is None:
        raise SettingsError(["AWS credentials: none; a role, a profile or AWS_ACCESS_KEY_ID gives them"])
    tables = aws.dynamodb_client(places, session)
    with ThreadPoolExecutor(2) as beside:
        key = beside.submit(_key, settings, powers, given, tables, session)
        told = beside.submit(partial(_writing, settings, powers, tables))
        bucket = aws.s3_client(places, session)  # while DynamoDB and KMS answer
        problems = _bucket(settings, bucket) if powers.bucket else []
        found, record, reading = key.result()
        problems = [*(reading or told.result()), *problems]
    if problems or found is None:
        if any(f"no such {missing}" in told for told in problems for missing in ("table", "bucket")):
            problems.append(MADE_BY)
        raise SettingsError(problems)
    return aws.metadata_over(tables, places), aws.blocks_over(bucket, places), found, record


def _key(
    settings: Settings, powers: Powers, given: bytes | None, tables: Any, session: Any
) -> tuple[bytes | None, bytes | None, list[str]]:
    """The master key and the site's record, or what is wrong with the key or with the tables it lies in."""
    from chalicelib.adapters.dynamodb import probe

    metadata = aws.metadata_over(tables, aws.own_places(settings), START_TRIES)
    try:
        form, record = metadata.get([master_key.ROW, RECORD, *probe.rows()])[:2]
        if given is not None:
            return master_key.still_given(given, form), record, []
        key = master_key.kms_key(settings, session.get_credentials())
        fresh = master_key.may_be_made(form, record)
        return master_key.opened(form, key, metadata, fresh and powers.founds), record, []
    except SettingsError as problem:
        return None, None, problem.problems
    except StoreError as problem:
        from botocore.exceptions import BotoCoreError

        if isinstance(problem.__cause__, BotoCoreError):  # no answer at all: asking on would take a minute
            place = f"DynamoDB in {settings.blocks_region}"
            return None, None, [f"{place} cannot be used: {problem.__cause__}"]
        return None, None, _table_by_table(settings, powers, tables) or [f"DynamoDB: {problem}"]


def _writing(settings: Settings, powers: Powers, tables: Any) -> list[str]:
    from chalicelib.adapters.dynamodb import probe

    if probe.writable(tables, settings.dynamodb_prefix, powers.writes):
        return []
    return _table_by_table(settings, powers, tables)


def _table_by_table(settings: Settings, powers: Powers, tables: Any) -> list[str]:
    from chalicelib.adapters.dynamodb import probe

    return probe.problems(tables, settings.dynamodb_prefix, settings.blocks_region, powers.writes)


def _bucket(settings: Settings, bucket: Any) -> list[str]:
    from chalicelib.adapters import s3_probe

    return s3_probe.problems(bucket, settings.blocks_bucket, settings.blocks_prefix, settings.blocks_region)
