"""Settings → what presigns URLs of the block bucket; None for a directory.

The clients are made when the first URL is: whoever only streams never pays for them.
Source  ports/direct.py; docs/direct.md.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

from chalicelib.bootstrap.aws import aws_session, keys_of_bucket, own_places
from chalicelib.ports.direct import DirectBlocks
from chalicelib.settings import Backend, Settings


def direct_blocks(settings: Settings) -> DirectBlocks | None:
    """The way past us for blocks of this site."""
    if settings.backend is not Backend.AWS:
        return None
    from chalicelib.adapters.s3_blocks import S3Direct, direct_config
    from chalicelib.adapters.s3_unsigned import refuses_unsigned
    from chalicelib.adapters.system import SystemClock

    places = own_places(settings)
    public_endpoint = settings.blocks_public_endpoint or places.bucket_endpoint

    @cache
    def made(endpoint: str) -> Any:
        return aws_session().client(
            "s3",
            region_name=places.bucket_region,
            endpoint_url=endpoint or None,
            config=direct_config(places.bucket, endpoint),
            **keys_of_bucket(places),
        )

    one_at_a_time = Lock()

    def client(endpoint: str) -> Any:
        with one_at_a_time:
            return made(endpoint)

    return S3Direct(
        lambda: client(places.bucket_endpoint),
        lambda: client(public_endpoint),
        refuses_unsigned,
        SystemClock().now_ms,
        places.bucket,
        places.bucket_prefix,
    )
