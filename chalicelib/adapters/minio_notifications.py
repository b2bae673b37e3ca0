"""Notifications of a bucket in MinIO, as they come: what `listen_bucket_notification` of minio-py gives.

    for event in MinioNotifications(client, "blocks", "manifests/"): …

Each event is shaped as S3's to a Lambda function. What happens while nobody listens is not told again.
Errors  Unavailable when the connection breaks or cannot be made; listen again
Source  minio-py; MinIO "ListenBucketNotification".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minio.error import MinioException
from urllib3.exceptions import HTTPError

from chalicelib.domain.errors import Unavailable

EVENTS = ("s3:ObjectCreated:*",)
_BROKEN = (MinioException, HTTPError, OSError, ValueError, KeyError)  # the last two: not what MinIO says


class MinioNotifications:
    """Listens for objects created below `prefix` of `bucket`."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            with self._client.listen_bucket_notification(
                self._bucket, prefix=self._prefix, events=EVENTS
            ) as events:
                yield from events
        except _BROKEN as problem:
            raise Unavailable(f"MinIO tells nothing now: {type(problem).__name__}: {problem}") from problem
