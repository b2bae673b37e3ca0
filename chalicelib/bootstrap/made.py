"""Settings → tables and a bucket, made where no stack makes them: on DynamoDB Local and MinIO, or to try.

Errors  SettingsError, worded for the operator
Source  adapters/dynamodb/tables.py; Amazon S3 API Reference: CreateBucket.
"""

from __future__ import annotations

from typing import Any

from chalicelib.bootstrap import aws
from chalicelib.settings import Settings, SettingsError

_WITHOUT_PLACE = "us-east-1"  # the one region CreateBucket must not be told


def create_stores(settings: Settings) -> list[str]:
    """Make what is not there; the names of what was made."""
    from botocore.exceptions import BotoCoreError, ClientError

    from chalicelib.adapters.dynamodb import create_tables

    places, session = aws.own_places(settings), aws.aws_session()
    try:
        made = create_tables(aws.dynamodb_client(places, session), places.dynamodb_prefix)
        store = aws.s3_client(places, session)
        if not _is_there(store, places.bucket):
            where = {"LocationConstraint": places.bucket_region}
            more = {} if places.bucket_region == _WITHOUT_PLACE else {"CreateBucketConfiguration": where}
            store.create_bucket(Bucket=places.bucket, **more)
            made.append(places.bucket)
    except (ClientError, BotoCoreError) as problem:
        raise SettingsError([str(problem)]) from problem
    return made


def _is_there(store: Any, bucket: str) -> bool:
    try:
        store.head_bucket(Bucket=bucket)
    except store.exceptions.ClientError:  # of a HEAD, so without words: making it has some
        return False
    return True
