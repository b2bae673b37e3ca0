"""Whether a store lets writes pass that nobody signed: then no URL may be given out, for each shows a key.

    refuses_unsigned(client, bucket, key)   → bool

MinIO (at least RELEASE.2025-09-07) looks at no signature of a PUT that says
STREAMING-UNSIGNED-PAYLOAD-TRAILER and names an access key in its query but has no Authorization header:
whoever knows the key writes what that user may. A policy can refuse such requests (docs/direct.md), but for
root.
Looks   by such a PUT of one byte under a wrong checksum: a store that would take it refuses it too, but later
Errors  Those of botocore: no answer, or one that says nothing about it
Source  minio/minio, cmd/streaming-v4-unsigned.go; AWS "Signature calculations: trailing headers".
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

_BODY = b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"  # the CRC-32 of "x" is another
_HEADERS = {
    "Content-Length": str(len(_BODY)),
    "Content-Encoding": "aws-chunked",
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x-amz-decoded-content-length": "1",
    "x-amz-trailer": "x-amz-checksum-crc32",
}
_REFUSALS = frozenset({401, 403, 501})  # 501: a store that knows no trailers has no such hole
_EVENT = "before-send.s3.PutObject"


def refuses_unsigned(client: Any, bucket: str, key: str) -> bool:
    """Ask the store; `client` is used by nobody else to put objects meanwhile."""
    client.meta.events.register_last(_EVENT, _unsign, unique_id=__name__)
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    except ClientError as problem:
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 and status not in _REFUSALS:
            raise
        return status in _REFUSALS
    finally:
        client.meta.events.unregister(_EVENT, _unsign, unique_id=__name__)
    return False


def _unsign(request: Any, **_: Any) -> None:
    """What whoever has seen a URL can make of it."""
    signed = request.headers.pop("Authorization")
    found = re.search(r"Credential=([^,\s]+)", signed if isinstance(signed, str) else signed.decode())
    credential = found[1] if found else ""
    request.url += f"?X-Amz-Credential={quote(credential, safe='')}"
    for name, value in _HEADERS.items():
        request.headers[name] = value
    request.body = _BODY
