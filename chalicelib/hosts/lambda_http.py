"""HTTP as Lambda carries it: an event of a front becomes a `Request`, the `Response` an answer event.

In      events of a REST API (payload 1.0) and of a Function URL (payload 2.0), bodies in base64 or as text
Path    as sent: `path` and `rawPath` are still percent-encoded there. What a REST API cuts off, its stage,
        is part of what the client signed: Request.signed_path. An HTTP API decodes paths and is not supported
Headers the gateway drops some that clients sign; they are put back where the body, or a constant, says
        what they were: a signature over them then still proves that it is so. A signature itself cannot be
        put back: AWS's notes, as remembered, say that a REST API drops an Authorization header that holds one
Limits  Lambda carries 6 MB of JSON each way, so BODY_BYTES_MAX of a body. A larger answer is never cut
        or turned into a 206 nobody asked for: it is an EntityTooLarge (400, which no client tries again)
        that says how to get the object. HEAD and listings are not touched by this
Source  AWS "Lambda quotas", "API Gateway important notes"; research/chalice.md §1.3, §1.4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from chalicelib.s3 import errors
from chalicelib.s3.request import BytesBody, Headers, Request, Response, parse_query
from chalicelib.s3.service import as_s3_error, error_response

Event = dict[str, Any]
Handler = Callable[[Request], Response]

PAYLOAD_BYTES_MAX = 6 * 1024 * 1024  # AWS: "6 MB each for request and response (synchronous)"
ENVELOPE_BYTES_MAX = 64 * 1024  # headers, path and context, as JSON
BODY_BYTES_MAX = (PAYLOAD_BYTES_MAX - ENVELOPE_BYTES_MAX) * 3 // 4  # base64 makes 4 bytes of 3
_SIGNED_HEADERS = re.compile(r"SignedHeaders=([^,\s]+)")
_BLANK = Request("GET", b"/", (), Headers(), BytesBody(), secure=True, remote="")
_SIGNATURE_LOST = (
    "The request was signed, but the REST API in front of this function has taken its Authorization header "
    "away. Use the site's Function URL, or presigned URLs, whose signature stands in the query."
)
_WAY_OUT = (
    "use `causeway cp`, which moves blocks straight to and from the block bucket, or this site's streaming "
    "endpoint (`causeway serve`); they have no such limit."
)


def is_http(event: Any) -> bool:
    """Whether an event is an HTTP request of a front that is known here."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    return isinstance(context, dict) and ("http" in context or "httpMethod" in context)


def method_of(event: Event) -> str:
    """The method of an HTTP event."""
    context = event["requestContext"]
    return str(context["http"]["method"] if "http" in context else context["httpMethod"])


def answer(handle: Handler, event: Event) -> Event:
    """Answer one HTTP event."""
    request = _BLANK
    try:
        request = request_of(event)
        length = request.body.length or 0
        if length > BODY_BYTES_MAX:
            raise _too_large_to_come(length)
        response = handle(request)
        body = b"" if request.method == "HEAD" else _whole(response)
    except Exception as problem:  # noqa: BLE001 - `handle` answers errors itself: these are from a body
        request_id = str(event["requestContext"].get("requestId") or "")
        response = error_response(request, as_s3_error(problem), request_id)
        body = response.body if isinstance(response.body, bytes) else b""
    return event_of(Response(response.status, response.headers, body), event)


def request_id_of(out: Event) -> str:
    """The S3 request id that the client was told, "" if none."""
    several = out.get("multiValueHeaders") or {name: [value] for name, value in out["headers"].items()}
    found = [values[0] for name, values in several.items() if name.lower() == "x-amz-request-id"]
    return found[0] if found else ""


# ------------------------------------------------------------------------------------- requests


def request_of(event: Event) -> Request:
    """The request of an event; InvalidURI or InvalidRequest if it cannot be one."""
    context = event["requestContext"]
    body = _body(event)
    if "http" in context:
        raw_path, signed_path = event["rawPath"], ""
        query = parse_query(event.get("rawQueryString") or "")
        pairs = list((event.get("headers") or {}).items())
        remote = context["http"].get("sourceIp", "")
    else:
        raw_path, signed_path = _v1_path(event, context)
        query = _v1_query(event)
        pairs = _v1_headers(event)
        remote = (context.get("identity") or {}).get("sourceIp", "")
        _needs_signature(Headers(pairs), query)
    headers = _put_back(Headers(pairs), query, body)
    return Request(
        method=method_of(event),
        raw_path=(raw_path or "/").encode("utf-8", "surrogateescape"),
        query=query,
        headers=headers,
        body=BytesBody(body),
        secure=True,  # both fronts speak TLS only
        remote=remote or "",
        signed_path=signed_path.encode("utf-8", "surrogateescape"),
    )


def _v1_path(event: Event, context: Event) -> tuple[str, str]:
    """The path below the stage, and the whole path if that is another. `chalice local` gives one only."""
    whole = context.get("path") or "/"
    path = event.get("path") or whole
    stage = f"/{context.get('stage')}"
    below_stage = whole == stage + path or (whole == stage and path == "/")
    return path, whole if below_stage and whole != path else ""


def _v1_query(event: Event) -> tuple[tuple[str, str], ...]:
    """Pairs come decoded, in an order that SigV4 does not need."""
    several = event.get("multiValueQueryStringParameters")
    if several is None:
        several = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    return tuple((name, value or "") for name, values in several.items() for value in values)


def _v1_headers(event: Event) -> list[tuple[str, str]]:
    several = event.get("multiValueHeaders")
    if several is None:
        return list((event.get("headers") or {}).items())
    return [(name, value) for name, values in several.items() for value in values]


def _body(event: Event) -> bytes:
    body = event.get("body") or b""
    if isinstance(body, bytes):
        return body
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidRequest("The gateway's event holds a body that is not base64.") from None


def _needs_signature(headers: Headers, query: tuple[tuple[str, str], ...]) -> None:
    """AccessDenied that says why, for a request that was signed in a header which is not here."""
    signed = "authorization" in headers or "X-Amz-Signature" in dict(query)
    if not signed and "x-amz-date" in headers and "x-amz-content-sha256" in headers:
        raise errors.AccessDenied(_SIGNATURE_LOST)


def _put_back(headers: Headers, query: tuple[tuple[str, str], ...], body: bytes) -> Headers:
    """The headers with those that the client signed and the gateway dropped."""
    found = _SIGNED_HEADERS.search(headers.get("authorization") or "")
    signed = found[1] if found else dict(query).get("X-Amz-SignedHeaders", "")
    missing = [name for name in signed.split(";") if name in _DROPPED and name not in headers]
    if not missing:
        return headers
    return Headers((*headers.pairs, *((name, _DROPPED[name](body)) for name in missing)))


_DROPPED: dict[str, Callable[[bytes], str]] = {
    "content-length": lambda body: str(len(body)),
    "content-md5": lambda body: base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
    "expect": lambda body: "100-continue",
}


# -------------------------------------------------------------------------------------- answers


def event_of(response: Response, event: Event) -> Event:
    """The answer event; `response.body` is bytes by now."""
    body = response.body if isinstance(response.body, bytes) else b""
    out: Event = {
        "statusCode": response.status,
        "headers": {},
        "body": base64.b64encode(body).decode("ascii"),
        "isBase64Encoded": bool(body),
    }
    if "http" in event["requestContext"]:
        for name, value in response.headers:
            before = out["headers"].get(name)
            out["headers"][name] = value if before is None else f"{before},{value}"
    else:
        several: dict[str, list[str]] = {}
        out["multiValueHeaders"] = several
        for name, value in response.headers:
            several.setdefault(name, []).append(value)
    return out


def _whole(response: Response) -> bytes:
    """Every byte of a body; nothing has been sent yet, so one that fails is still an error of its own."""
    body = response.body
    if isinstance(body, bytes):
        if len(body) > BODY_BYTES_MAX:
            raise _too_large_to_go(len(body))
        return body
    try:
        announced = _announced(response)
        if announced is not None and announced > BODY_BYTES_MAX:
            raise _too_large_to_go(announced)
        return _joined(body, announced)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()  # gives back the block buffers that a generator holds


def _joined(pieces: Iterator[bytes], announced: int | None) -> bytes:
    found, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise _too_large_to_go(size)
        found.append(piece)
    if announced is not None and size != announced:
        raise errors.InternalError()
    return b"".join(found)


def _announced(response: Response) -> int | None:
    for name, value in response.headers:
        if name.lower() == "content-length":
            return int(value)
    return None


def _too_large_to_come(length: int) -> errors.EntityTooLarge:
    return errors.EntityTooLarge(
        f"This endpoint is a function, which takes at most {BODY_BYTES_MAX} bytes at a time. "
        f"For more, {_WAY_OUT}",
        ProposedSize=str(length),
        MaxSizeAllowed=str(BODY_BYTES_MAX),
    )


def _too_large_to_go(length: int) -> errors.EntityTooLarge:
    return errors.EntityTooLarge(
        f"This endpoint is a function, which gives at most {BODY_BYTES_MAX} bytes at a time: ask for ranges "
        f"of at most that (Range: bytes=0-{BODY_BYTES_MAX - 1}, and so on), or {_WAY_OUT}",
        ProposedSize=str(length),
        MaxSizeAllowed=str(BODY_BYTES_MAX),
    )
