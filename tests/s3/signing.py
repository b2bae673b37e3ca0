"""Requests signed for the tests: by our own signer, and by botocore as a second opinion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import urlsplit

from chalicelib.s3.canonical import Credentials, parse_amz_date, sign
from chalicelib.s3.request import BytesBody, Headers, Request, parse_query
from chalicelib.s3.sigv4 import Identity, authenticate

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIALS = Credentials(ACCESS_KEY, SECRET)
AMZ_DATE = "20130524T000000Z"
NOW_MS = parse_amz_date(AMZ_DATE) or 0
HOST = "examplebucket.s3.amazonaws.com"
SCOPE = "20130524/us-east-1/s3/aws4_request"
EMPTY = hashlib.sha256(b"").hexdigest()
# AWS's published example of a presigned URL: GET /test.txt for a day.
PRESIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256"
    f"&X-Amz-Credential={ACCESS_KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    f"&X-Amz-Date={AMZ_DATE}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


def secret_of(access_key: str) -> str | None:
    """The one user there is."""
    return SECRET if access_key == ACCESS_KEY else None


def request_of(
    method: str = "GET",
    path: str | bytes = "/",
    query: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    """A request as a host would hand it over."""
    raw_path = path.encode() if isinstance(path, str) else path
    return Request(
        method,
        raw_path,
        parse_query(query),
        Headers(headers),
        BytesBody(body),
        secure=True,
        remote="192.0.2.1",
    )


def signed_request(
    method: str = "GET",
    path: str | bytes = "/bucket/key",
    query: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    payload: str = "UNSIGNED-PAYLOAD",
    unsigned: Iterable[tuple[str, str]] = (),
) -> Request:
    """A request with a good header authorization; `unsigned` headers are added afterwards."""
    plain = request_of(method, path, query, headers, body)
    pairs = (("host", HOST), *plain.headers.pairs)
    added = sign(
        method,
        plain.raw_path,
        plain.query,
        pairs,
        credentials=CREDENTIALS,
        now_ms=NOW_MS,
        payload=payload,
    )
    return request_of(method, path, query, (*pairs, *added, *unsigned), body)


def replace_header(request: Request, name: str, value: str | None) -> Request:
    """The same request with one header changed, or gone."""
    pairs = [pair for pair in request.headers.pairs if pair[0] != name]
    if value is not None:
        pairs.append((name, value))
    return Request(request.method, request.raw_path, request.query, Headers(pairs), request.body, True, "")


def request_of_url(
    method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Request:
    """A request as a client sends it for this URL, Host header included."""
    parts = urlsplit(url)
    return request_of(method, parts.path or "/", parts.query, (("host", parts.netloc), *headers), body)


def verify(request: Request, now_ms: int = NOW_MS, **options: str) -> Identity:
    """authenticate() with the one user there is."""
    return authenticate(request, now_ms, secret_of, **options)  # type: ignore[arg-type]
