"""The one verifier: no request reaches an operation without passing authenticate().

In      Request, now_ms, secret_of(access key) → secret or None, region rule, other Host values
Out     Identity: who signed, how the body is covered, and what the chunk signatures chain from
Units   times in ms since 1970; the window is 15 minutes either way; a presigned URL lives
        1 … 604,800 s
Errors  403 AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed ·
        400 AuthorizationHeaderMalformed, AuthorizationQueryParametersError, InvalidArgument,
        InvalidRequest, InvalidToken
Source  AWS SigV4 reference; research/reliability.md §3A (A1 to A18) for every refusal
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hmac import compare_digest

from chalicelib.s3 import canonical, errors
from chalicelib.s3.dates import parse_http_date
from chalicelib.s3.request import Headers, Request

SKEW_MS = 15 * 60 * 1000
PRESIGN_SECONDS_MAX = 7 * 24 * 3600

_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_SIGNATURE = re.compile(r"[0-9a-f]{64}").fullmatch
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch
_SECONDS = re.compile(r"[0-9]{1,7}").fullmatch
AUTH_PARAMS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
# Query names that sign a request; the router and the door pass over exactly these.
SIGNING_PARAMS = frozenset({*AUTH_PARAMS, "X-Amz-Security-Token", "X-Amz-Content-Sha256"})
# What decides who is asking, or what is checked, may be said once only.
_SINGLE_HEADERS = (
    "authorization",
    "host",
    "date",
    "content-length",
    "content-md5",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-decoded-content-length",
)
# An unknown access key is verified against this, so that it costs what a known one costs.
_DUMMY_KEY = canonical.signing_key("no such user", "19700101", "nowhere")


class PayloadMode(Enum):
    """How the body is covered by the signature; the value is x-amz-content-sha256."""

    UNSIGNED = "UNSIGNED-PAYLOAD"
    SIGNED = "sha256 of the body"
    STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


_MODES: dict[str, PayloadMode] = {mode.value: mode for mode in PayloadMode if mode is not PayloadMode.SIGNED}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed a request, and what its chunk signatures chain from."""

    access_key: str
    mode: PayloadMode
    content_sha256: str  # lower-case hex when mode is SIGNED, else ""
    signing_key: bytes
    scope: str
    amz_date: str
    seed_signature: str
    presigned: bool

    def __repr__(self) -> str:
        # The signing key is a secret for a day: never in a log or a traceback.
        return f"Identity({self.access_key}, {self.mode.name})"


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says about its own signature, before any of it is believed."""

    access_key: str
    date: str
    region: str
    signed_headers: str
    signature: str
    amz_date: str
    scope: str
    presigned: bool


def authenticate(
    request: Request,
    now_ms: int,
    secret_of: Callable[[str], str | None],
    region: str | None = None,
    host_aliases: tuple[str, ...] = (),
) -> Identity:
    """Who sent this request; raises an S3Error unless the signature holds.

    secret_of MUST answer None for an unknown or disabled key. `region` None accepts whichever
    region the client signed for. `host_aliases` are tried for Host where a gateway rewrites it.
    """
    headers = request.headers
    if headers.repeated:
        for name in _SINGLE_HEADERS:
            if len(headers.all(name)) > 1:
                raise errors.InvalidArgument("Duplicate header in request.", ArgumentName=name)
    claim = _read_claim(request, now_ms)
    if region is not None and claim.region != region:
        raise _malformed(
            claim.presigned,
            f"the region '{claim.region}' is wrong; expecting '{region}'",
            region=region,
        )
    signed = claim.signed_headers.split(";")
    _check_coverage(headers, signed)
    mode, payload = _payload(headers, signed, claim.presigned)
    if "x-amz-security-token" in headers:
        raise errors.InvalidToken()

    secret = secret_of(claim.access_key)
    known = secret is not None and secret != ""
    key = (
        canonical.signing_key(secret, claim.date, claim.region)
        if secret is not None and known
        else _DUMMY_KEY
    )
    matches = _signature_matches(request, claim, signed, payload, key, host_aliases)
    if not known:
        raise errors.InvalidAccessKeyId(AWSAccessKeyId=claim.access_key)
    if not matches:
        raise errors.SignatureDoesNotMatch(AWSAccessKeyId=claim.access_key)
    content_sha256 = ""
    if mode is PayloadMode.SIGNED:
        content_sha256 = (headers.get("x-amz-content-sha256") or "").lower()
    return Identity(
        claim.access_key,
        mode,
        content_sha256,
        key,
        claim.scope,
        claim.amz_date,
        claim.signature,
        claim.presigned,
    )


def _read_claim(request: Request, now_ms: int) -> _Claim:
    """The claim, from whichever one of header and query carries it."""
    authorization = request.headers.get("authorization")
    in_query = False
    for name, _ in request.query:
        if name.startswith("X-Amz-") and name in AUTH_PARAMS:
            in_query = True
        elif name in ("AWSAccessKeyId", "Signature"):
            raise errors.InvalidRequest(_USE_V4)
    if authorization is not None:
        if in_query:
            raise errors.InvalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                "Signature query string parameter or the Authorization header should be specified",
                ArgumentName="Authorization",
            )
        return _header_claim(request.headers, authorization, now_ms)
    if in_query:
        return _query_claim(request.query, now_ms)
    raise errors.AccessDenied()


_USE_V4 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


def _header_claim(headers: Headers, authorization: str, now_ms: int) -> _Claim:
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme != canonical.ALGORITHM:
        if scheme == "AWS" or scheme.startswith("AWS4-"):
            raise errors.InvalidRequest(_USE_V4)
        raise errors.InvalidArgument("Unsupported Authorization Type", ArgumentName="Authorization")
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in fields:
            raise _malformed(False, "a component is repeated")
        fields[name] = value
    if set(fields) != {"Credential", "SignedHeaders", "Signature"}:
        raise _malformed(False, "it needs exactly Credential, SignedHeaders and Signature")
    amz_date = headers.get("x-amz-date")
    if amz_date is None:
        sent_ms = parse_http_date(headers.get("date") or "")
        amz_date = canonical.format_amz_date(sent_ms) if sent_ms is not None else ""
    signed_ms = canonical.parse_amz_date(amz_date)
    if signed_ms is None:
        raise errors.AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    if abs(now_ms - signed_ms) > SKEW_MS:
        raise errors.RequestTimeTooSkewed(
            RequestTime=amz_date,
            ServerTime=canonical.format_amz_date(now_ms),
            MaxAllowedSkewMilliseconds=str(SKEW_MS),
        )
    return _claim(fields["Credential"], fields["SignedHeaders"], fields["Signature"], amz_date, False)


def _query_claim(query: tuple[tuple[str, str], ...], now_ms: int) -> _Claim:
    fields: dict[str, str] = {}
    for name, value in query:
        if name in fields and name in AUTH_PARAMS:
            raise errors.InvalidArgument("Duplicate query parameter.", ArgumentName=name)
        fields[name] = value
    if any(name not in fields for name in AUTH_PARAMS):
        raise errors.AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
            "X-Amz-Expires parameters."
        )
    if "X-Amz-Security-Token" in fields:
        raise errors.InvalidToken()
    if fields["X-Amz-Algorithm"] != canonical.ALGORITHM:
        raise errors.AuthorizationQueryParametersError('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    amz_date = fields["X-Amz-Date"]
    signed_ms = canonical.parse_amz_date(amz_date)
    if signed_ms is None:
        raise errors.AuthorizationQueryParametersError(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    seconds = fields["X-Amz-Expires"]
    if not _SECONDS(seconds) or not 1 <= int(seconds) <= PRESIGN_SECONDS_MAX:
        raise errors.AuthorizationQueryParametersError(
            f"X-Amz-Expires must be between 1 and {PRESIGN_SECONDS_MAX} seconds"
        )
    if now_ms < signed_ms - SKEW_MS:
        raise errors.AccessDenied("Request is not valid yet")
    if now_ms > signed_ms + int(seconds) * 1000:
        raise errors.AccessDenied("Request has expired", ExpiresSeconds=seconds)
    return _claim(
        fields["X-Amz-Credential"],
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
        amz_date,
        True,
    )


def _claim(credential: str, signed_headers: str, mac: str, amz_date: str, presigned: bool) -> _Claim:
    parts = credential.split("/")
    if len(parts) != 5 or not parts[0]:
        raise _malformed(presigned, "the Credential is mal-formed")
    access_key, date, region, service, terminator = parts
    scope = credential[len(access_key) + 1 :]
    if date != amz_date[:8]:
        raise _malformed(presigned, "the credential date is not the date of the request")
    if not _REGION(region):
        raise _malformed(presigned, "the region is not valid")
    if service != "s3":
        raise _malformed(presigned, 'incorrect service. This endpoint belongs to "s3".')
    if terminator != "aws4_request":
        raise _malformed(presigned, 'incorrect terminal. This endpoint uses "aws4_request".')
    return _Claim(access_key, date, region, signed_headers, mac, amz_date, scope, presigned)


def _malformed(presigned: bool, reason: str, *, region: str | None = None) -> errors.S3Error:
    code: type[errors.S3Error] = errors.AuthorizationHeaderMalformed
    text = f"The authorization header is malformed; {reason}"
    if presigned:
        code = errors.AuthorizationQueryParametersError
        text = f"Error parsing the X-Amz-Credential parameter; {reason}"
    return code(text) if region is None else code(text, Region=region)


def _check_coverage(headers: Headers, signed: list[str]) -> None:
    """host and every x-amz-* header sent MUST be signed.

    Otherwise whoever holds a presigned PUT adds x-amz-copy-source and reads any object of the
    signer's (CVE-2026-97731). x-amz-content-sha256 is covered by the canonical request itself.
    """
    if "host" not in signed:
        raise errors.AccessDenied("The host header must be signed", HeadersNotSigned="host")
    missing = [
        name
        for name in headers.names()
        if name.startswith("x-amz-") and name not in signed and name != "x-amz-content-sha256"
    ]
    if missing:
        raise errors.AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(missing),
        )


def _payload(headers: Headers, signed: list[str], presigned: bool) -> tuple[PayloadMode, str]:
    """How the body is covered, and the payload line of the canonical request."""
    sent = headers.get("x-amz-content-sha256")
    if sent is None:
        if presigned:
            return PayloadMode.UNSIGNED, "UNSIGNED-PAYLOAD"
        raise errors.InvalidRequest("Missing required header for this request: x-amz-content-sha256")
    mode = _MODES.get(sent)
    if mode is None:
        if not _SHA256_HEX(sent):
            raise errors.InvalidArgument(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid sha256 value.",
                ArgumentName="x-amz-content-sha256",
            )
        mode = PayloadMode.SIGNED
    if presigned:
        if mode not in (PayloadMode.UNSIGNED, PayloadMode.SIGNED):
            # A URL signs no chunks, and no client streams this way: refused, not guessed.
            raise errors.InvalidRequest("aws-chunked bodies need an Authorization header")
        if "x-amz-content-sha256" not in signed:
            return mode, "UNSIGNED-PAYLOAD"
    return mode, sent


def _signature_matches(
    request: Request,
    claim: _Claim,
    signed: list[str],
    payload: str,
    key: bytes,
    host_aliases: tuple[str, ...],
) -> bool:
    """Whether the claimed signature is the right one. The same work for every known key."""
    if not _SIGNATURE(claim.signature):
        return False
    if signed != sorted(set(signed)):
        return False  # SignedHeaders are sorted and unique, or the canonical form is not canonical
    sent = request.headers
    without = "X-Amz-Signature" if claim.presigned else ""
    raw_path = request.signed_path or request.raw_path
    path = canonical.canonical_path(raw_path)
    query = canonical.canonical_query(request.query, without)
    claimed = claim.signature.encode()
    verbatim = raw_path.decode("latin-1")
    for headers in _header_sets(request, sent, signed, host_aliases):
        lines = canonical.canonical_headers(headers, signed)
        if lines is None:
            return False
        for candidate in (path, verbatim) if verbatim != path else (path,):
            text = canonical.canonical_request(
                request.method, candidate, query, lines, claim.signed_headers, payload
            )
            to_sign = canonical.string_to_sign(claim.amz_date, claim.scope, text)
            if compare_digest(canonical.signature(key, to_sign).encode(), claimed):
                return True
    return False


def _header_sets(
    request: Request, sent: Headers, signed: list[str], host_aliases: tuple[str, ...]
) -> list[Headers]:
    """The headers as sent, then as they may have been before a server or gateway touched them."""
    added: list[tuple[str, str]] = []
    if "expect" in signed and "expect" not in sent:
        added.append(("expect", "100-continue"))  # most servers answer and drop it
    if "content-length" in signed and "content-length" not in sent:
        length = request.body.length
        added.append(("content-length", str(length if length is not None else 0)))
    if added:
        sent = Headers((*sent.pairs, *added))
    if not host_aliases:
        return [sent]
    others = tuple(pair for pair in sent.pairs if pair[0] != "host")
    return [sent, *(Headers((*others, ("host", alias))) for alias in host_aliases)]
