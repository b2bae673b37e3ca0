"""Settings → tables and a bucket, made where no stack makes them: on DynamoDB Local and MinIO, or to try.

Errors  SettingsError, worded for the operator; Unavailable names the store that does not answer
Source  adapters/dynamodb/tables.py; Amazon S3 API Reference: CreateBucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.bootstrap import aws
from chalicelib.domain.errors import Unavailable
from chalicelib.settings import Settings, SettingsError

_WITHOUT_PLACE = "us-east-1"  # the one region CreateBucket must not be told


def create_stores(settings: Settings) -> list[str]:
    """Make what is not there; the names of what was made."""
    from chalicelib.adapters.dynamodb import create_tables

    places, session = aws.own_places(settings), aws.aws_session()
    with _asking("DynamoDB", places.dynamodb_endpoint, places.dynamodb_region, "--dynamodb-endpoint"):
        made = create_tables(aws.dynamodb_client(places, session), places.dynamodb_prefix)
    of_blocks = f"the store of bucket {places.bucket}"
    with _asking(of_blocks, places.bucket_endpoint, places.bucket_region, "--blocks-endpoint"):
        store = aws.s3_client(places, session)
        if not _is_there(store, places.bucket):
            where = {"LocationConstraint": places.bucket_region}
            more = {} if places.bucket_region == _WITHOUT_PLACE else {"CreateBucketConfiguration": where}
            store.create_bucket(Bucket=places.bucket, **more)
            made.append(places.bucket)
    return made


@contextmanager
def _asking(what: str, endpoint: str, region: str, option: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NotConnected

    try:
        yield
    except (NotConnected, HTTPClientError) as problem:  # no connection, or none that lasted
        where = f"at {endpoint}" if endpoint else f"in {region}"
        told = f"{what} {where} does not answer ({problem}); start it, or correct {option}"
        raise Unavailable(told) from problem
    except (ClientError, BotoCoreError) as problem:
        raise SettingsError([f"{what}: {problem}"]) from problem


def _is_there(store: Any, bucket: str) -> bool:
    try:
        store.head_bucket(Bucket=bucket)
    except store.exceptions.ClientError:  # of a HEAD, so without words: making it has some
        return False
    return True
