"""DynamoDB and buckets, of this site or of a sink: the one place where their clients are made.

botocore is imported when the first client is made: a function that is only packaged never pays for it. It
makes the clients boto3 would, without boto3's own third of the time. Credentials come by its standard chain.
Source  DESIGN §4; docs/benchmarks.md: the SDK costs a cold start more than all else together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chalicelib.adapters.system import SystemClock, SystemIds
from chalicelib.objects.documents import ROOT as DOCUMENTS
from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.metadata import Metadata
from chalicelib.settings import Backend, Settings

OURS = ("dynamodb", "s3", "sqs")
OF_CREDENTIALS = ("sts", "sso", "sso-oidc", "signin")  # which botocore itself asks for roles and tokens


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
    bucket_keys: tuple[str, str] | None = field(default=None, repr=False)  # None: as the tables'


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
        bucket_keys=(settings.blocks_access_key, settings.blocks_secret_key)
        if settings.blocks_access_key
        else None,
    )


def keys_of_bucket(places: AwsPlaces) -> dict[str, str]:
    """What a client of the bucket is given beside the session's own credentials: nothing, but for a store
    that does not know those."""
    if places.bucket_keys is None:
        return {}
    return {"aws_access_key_id": places.bucket_keys[0], "aws_secret_access_key": places.bucket_keys[1]}


class AwsSession:
    """What clients are made by; one for all, for each loads and parses its own descriptions of AWS."""

    def __init__(self) -> None:
        from botocore.loaders import Loader
        from botocore.session import get_session

        class OurServices(Loader):  # type: ignore[misc] # botocore has no types
            """Knows what there is without a look at 400 directories, which takes 20 ms of a cold start."""

            def list_available_services(self, type_name: str) -> list[str]:
                return [*OURS, *OF_CREDENTIALS]

        session = get_session()
        session.register_component("data_loader", OurServices())
        self.client = session.create_client
        self.get_credentials = session.get_credentials


def aws_session() -> Any:
    """One of this process's own."""
    return AwsSession()


def dynamodb_client(places: AwsPlaces, session: Any) -> Any:
    """The tables' client."""
    from chalicelib.adapters import dynamodb

    return session.client(
        "dynamodb",
        region_name=places.dynamodb_region,
        endpoint_url=places.dynamodb_endpoint or None,
        config=dynamodb.client_config(),
    )


def s3_client(places: AwsPlaces, session: Any) -> Any:
    """The bucket's client."""
    from chalicelib.adapters import s3_blocks

    return session.client(
        "s3",
        region_name=places.bucket_region,
        endpoint_url=places.bucket_endpoint or None,
        config=s3_blocks.client_config(),
        **keys_of_bucket(places),
    )


def metadata_over(client: Any, places: AwsPlaces, tries: int | None = None) -> Metadata:
    """The tables, by their client."""
    from chalicelib.adapters import dynamodb

    how: dict[str, Any] = {"sleep_ms": SystemClock().sleep_ms, "token": SystemIds().token}
    if tries is not None:
        how["tries"] = tries
    return dynamodb.DynamoMetadata(client, places.dynamodb_prefix, **how)


def blocks_over(client: Any, places: AwsPlaces) -> BlockStore:
    """The bucket, by its client."""
    from chalicelib.adapters import s3_blocks
    from chalicelib.adapters.retrying_blocks import RetryingBlocks

    return RetryingBlocks(s3_blocks.S3Blocks(client, places.bucket, places.bucket_prefix), SystemClock())


def document_events(settings: Settings) -> Iterable[dict[str, Any]] | None:
    """Events of the bucket for a process that is no function; None where nothing tells of them: a
    directory has its own commits, and S3 calls functions and queues only."""
    places = own_places(settings)
    on_minio = places.bucket_endpoint and not places.bucket_endpoint.endswith(".amazonaws.com")
    if settings.backend is not Backend.AWS or not on_minio:
        return None
    from minio import Minio

    from chalicelib.adapters.minio_notifications import MinioNotifications

    found = aws_session().get_credentials()
    keys = found.get_frozen_credentials() if found is not None else None
    own = places.bucket_keys
    parts = urlsplit(places.bucket_endpoint)
    client = Minio(
        parts.netloc,
        access_key=own[0] if own else keys and keys.access_key,
        secret_key=own[1] if own else keys and keys.secret_key,
        session_token=None if own else keys and keys.token,
        secure=parts.scheme == "https",
        region=places.bucket_region,
    )
    return MinioNotifications(client, places.bucket, places.bucket_prefix + DOCUMENTS)
