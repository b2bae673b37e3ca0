"""DynamoDB and buckets, of this site or of a sink: the one place where their clients are made.

boto3 is imported when the first client is made: a function that is only packaged never pays for it.
Credentials come by the SDK's standard chain.
Source  DESIGN §4; research: boto3 costs a cold start more than all else together.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.adapters.system import SystemClock, SystemIds
from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.metadata import Metadata
from chalicelib.settings import Settings


@dataclass(frozen=True, slots=True)
class AwsPlaces:
    """Where one site keeps its tables and blocks; "" for an endpoint is AWS itself."""

    dynamodb_prefix: str
    dynamodb_region: str
    dynamodb_endpoint: str
    bucket: str
    bucket_prefix: str
    bucket_region: str
    bucket_endpoint: str


def own_places(settings: Settings) -> AwsPlaces:
    """This site's."""
    return AwsPlaces(
        dynamodb_prefix=settings.dynamodb_prefix,
        dynamodb_region=settings.blocks_region,  # tables lie beside the blocks
        dynamodb_endpoint=settings.dynamodb_endpoint,
        bucket=settings.blocks_bucket,
        bucket_prefix=settings.blocks_prefix,
        bucket_region=settings.blocks_region,
        bucket_endpoint=settings.blocks_endpoint,
    )


def aws_metadata(places: AwsPlaces) -> Metadata:
    """The tables."""
    import boto3

    from chalicelib.adapters import dynamodb

    client = boto3.session.Session(region_name=places.dynamodb_region).client(
        "dynamodb", endpoint_url=places.dynamodb_endpoint or None, config=dynamodb.client_config()
    )
    clock, ids = SystemClock(), SystemIds()
    return dynamodb.DynamoMetadata(client, places.dynamodb_prefix, sleep_ms=clock.sleep_ms, token=ids.token)


def aws_blocks(places: AwsPlaces) -> BlockStore:
    """The bucket."""
    import boto3

    from chalicelib.adapters import s3_blocks
    from chalicelib.adapters.retrying_blocks import RetryingBlocks

    client = boto3.session.Session(region_name=places.bucket_region).client(
        "s3", endpoint_url=places.bucket_endpoint or None, config=s3_blocks.client_config()
    )
    return RetryingBlocks(s3_blocks.S3Blocks(client, places.bucket, places.bucket_prefix), SystemClock())
