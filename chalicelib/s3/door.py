"""The door: what a client may not say is taken away before anything else looks at a request.

In      a Request as the host read it; after authentication, the same with its Identity
Out     a Request without internal headers; with presigned x-amz-* query pairs as headers
Units   header bytes: names and values together
Errors  RequestHeaderSectionTooLarge
Source  CVE-2026-34204 and its kin (client headers that became internal state); MinIO limits

The signature was made over what was sent, so authenticate() is given the request as the host read
it, and everything after it the one that came through clean(). No code but peers' and the admin
API's reads an internal header, and they have routes of their own.
"""

from __future__ import annotations

from dataclasses import replace

from chalicelib.s3 import errors
from chalicelib.s3.request import Headers, Request
from chalicelib.s3.sigv4 import SIGNING_PARAMS

HEADER_BYTES_MAX = 8 * 1024
HEADERS_MAX = 200

_INTERNAL_PREFIXES = (
    "x-causeway-",
    "x-amz-replication-",
    "x-amz-source-replication-",
    "x-minio-",
    "x-rustfs-",
    "x-riak-",
    "x-rcs-",
)
# AWS uses these between its own services; a client has no business with them.
_INTERNAL = frozenset({"x-amz-replica", "x-amz-source-version-id", "x-amz-source-etag", "x-amz-source-mtime"})
# Query pairs that sign a presigned URL, or that SDKs hoist there by mistake: a checksum in a URL
# was computed over the empty body the SDK had when it signed.
_NOT_HEADERS = ("x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-content-sha256")


def check_size(headers: Headers) -> None:
    """RequestHeaderSectionTooLarge for more or longer headers than any client needs."""
    size_bytes = 0
    for name, value in headers.pairs:
        size_bytes += len(name) + len(value)
    if size_bytes > HEADER_BYTES_MAX or len(headers) > HEADERS_MAX:
        raise errors.RequestHeaderSectionTooLarge(MaxSizeAllowed=str(HEADER_BYTES_MAX))


def clean(request: Request, *, presigned: bool) -> Request:
    """The request without internal headers, all of them.

    A presigned URL may carry x-amz-* settings (metadata, ACL) in its signed query: SDKs put them
    there so that a browser need not send them. They become headers.
    """
    pairs = request.headers.pairs
    kept = [pair for pair in pairs if not is_internal(pair[0])]
    query = request.query
    if presigned:
        hoisted = [(n, v) for n, v in query if is_hoisted(n)]
        if hoisted:
            sent = {name for name, _ in kept}
            kept += [
                (name, value.encode().decode("latin-1"))
                for name, value in hoisted
                if name not in sent and not is_internal(name) and not name.startswith(_NOT_HEADERS)
            ]
            query = tuple(pair for pair in query if not is_hoisted(pair[0]))
    if len(kept) == len(pairs) and query is request.query:
        return request
    return replace(request, headers=Headers(kept), query=query)


def is_internal(name: str) -> bool:
    """Whether a header name (lower case) belongs to the system."""
    return name.startswith(_INTERNAL_PREFIXES) or name in _INTERNAL


def is_hoisted(name: str) -> bool:
    """Whether a query name stands for a header: x-amz-* in any case, unless it signs."""
    return name.lower().startswith("x-amz-") and name not in SIGNING_PARAMS
