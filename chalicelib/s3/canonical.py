"""The arithmetic of AWS Signature Version 4, shared by verifier and signer.

In      method, raw path, decoded query pairs, header values, secret, date, region
Out     canonical request, string to sign, signing key, hex signature: all pure functions
Units   amz_date is `YYYYMMDDTHHMMSSZ`, UTC; times in ms since 1970
Errors  InvalidURI from a path that is not percent-encoded UTF-8; parse_amz_date → None
Source  AWS "Authenticating Requests (AWS Signature Version 4)": S3 encodes the path once
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from chalicelib.s3.request import Headers, header_bytes, unquote_strict

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = sha256(b"").hexdigest()

_PLAIN = re.compile(r"[A-Za-z0-9._~-]+").fullmatch
_PLAIN_PATH = re.compile(rb"[A-Za-z0-9._~/-]*").fullmatch
_AMZ_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z").fullmatch
_FOLDED = re.compile(r"[ \t]+")


@lru_cache(maxsize=512)
def parse_amz_date(text: str) -> int | None:
    """ms since 1970 of an ISO 8601 basic timestamp, or None if it is not one."""
    match = _AMZ_DATE(text)
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000


def format_amz_date(now_ms: int) -> str:
    """The ISO 8601 basic timestamp of a moment, UTC."""
    return datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def encode(text: str) -> str:
    """Percent-encode all but the unreserved set, as SigV4 wants names and values."""
    return text if text == "" or _PLAIN(text) else quote(text, safe="-._~")


def canonical_path(raw_path: bytes) -> str:
    """The path decoded once and encoded once; `//`, `.` and `..` stay as they are."""
    if _PLAIN_PATH(raw_path):
        return raw_path.decode("ascii")
    return quote(unquote_strict(raw_path), safe="/-._~")


def canonical_query(query: tuple[tuple[str, str], ...], without: str = "") -> str:
    """Encoded pairs sorted by name, then value; the pair named `without` is left out."""
    if not query:
        return ""
    pairs = sorted([(encode(n), encode(v)) for n, v in query if n != without])
    return "&".join([f"{name}={value}" for name, value in pairs])


def canonical_value(values: list[str]) -> str:
    """Header values joined by a comma, outer blanks cut and inner runs folded to one space."""
    # Blanks only: a bare strip() would also eat NBSP, which is half of a UTF-8 letter here.
    value = values[0].strip(" \t")
    if len(values) > 1:
        value = ",".join([other.strip(" \t") for other in values])
    if "  " in value or "\t" in value:
        value = _FOLDED.sub(" ", value)
    return value if value.isascii() else header_bytes(value).decode("latin-1")


def canonical_headers(headers: Headers, signed: list[str]) -> str | None:
    """The `name:value\\n` lines of the signed headers, or None if one of them was not sent."""
    lines = []
    for name in signed:
        values = headers.all(name)
        if not values:
            return None
        lines.append(f"{name}:{canonical_value(values)}\n")
    return "".join(lines)


def canonical_request(
    method: str, path: str, query: str, header_lines: str, signed_headers: str, payload: str
) -> bytes:
    """The canonical request, ready to be hashed."""
    text = f"{method}\n{path}\n{query}\n{header_lines}\n{signed_headers}\n{payload}"
    # Latin-1 text is the bytes as sent; anything else can only come from a forged field.
    return text.encode("latin-1", "replace")


def string_to_sign(amz_date: str, scope: str, canonical: bytes) -> bytes:
    """What the signing key signs."""
    return f"{ALGORITHM}\n{amz_date}\n{scope}\n{sha256(canonical).hexdigest()}".encode()


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str) -> bytes:
    """The key of one secret, day and region (four HMACs, hence remembered)."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, to_sign: bytes) -> str:
    """The hex signature of a string to sign."""
    return hmac.digest(key, to_sign, "sha256").hex()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What sign() signs with."""

    access_key: str
    secret: str
    region: str = "us-east-1"

    def __repr__(self) -> str:
        return f"Credentials({self.access_key})"  # the secret stays out of logs


def sign(
    method: str,
    raw_path: bytes,
    query: tuple[tuple[str, str], ...],
    headers: tuple[tuple[str, str], ...],
    *,
    credentials: Credentials,
    now_ms: int,
    payload: str = "UNSIGNED-PAYLOAD",
) -> list[tuple[str, str]]:
    """The headers to add to a request so that it carries a valid header authorization.

    `headers` MUST hold host and everything to be signed; `payload` is what goes into
    x-amz-content-sha256. The last pair returned is Authorization.
    """
    amz_date = format_amz_date(now_ms)
    added = [("x-amz-content-sha256", payload), ("x-amz-date", amz_date)]
    sent = Headers((*headers, *added))
    signed = sorted(sent.names())
    lines = canonical_headers(sent, signed)
    assert lines is not None and "host" in signed, "sign needs the host header"
    scope = f"{amz_date[:8]}/{credentials.region}/s3/aws4_request"
    canonical = canonical_request(
        method,
        canonical_path(raw_path),
        canonical_query(query),
        lines,
        ";".join(signed),
        payload,
    )
    key = signing_key(credentials.secret, amz_date[:8], credentials.region)
    mac = signature(key, string_to_sign(amz_date, scope, canonical))
    credential = f"{credentials.access_key}/{scope}"
    value = f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(signed)}, Signature={mac}"
    return [*added, ("authorization", value)]
