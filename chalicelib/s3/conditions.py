"""Conditional requests: whether to answer, given the object's ETag and Last-Modified.

In      If-* and x-amz-copy-source-if-* headers; ETags without quotes
Out     nothing when the request may go on
Units   Last-Modified in ms since 1970, compared in whole seconds
Errors  NotModified (304), PreconditionFailed (412), NoSuchKey for If-Match on nothing,
        NotImplemented for forms S3 does not know
Source  RFC 9110 §13.2.2; Amazon S3 GetObject, CopyObject and conditional writes

Evaluate only after the caller has been authorised (CVE-2024-36107).
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.s3 import errors
from chalicelib.s3.dates import format_http_date, parse_http_date
from chalicelib.s3.request import Headers


@dataclass(frozen=True, slots=True)
class ReadConditions:
    """The four conditions of a GET, a HEAD or a copy source; None when not sent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None

    def check_read(self, etag: str, last_modified_ms: int) -> None:
        """Raise NotModified or PreconditionFailed unless a GET or HEAD may answer."""
        self._check_positive(etag, last_modified_ms)
        if self._is_unchanged(etag, last_modified_ms):
            raise errors.NotModified(
                headers=(
                    ("ETag", f'"{etag}"'),
                    ("Last-Modified", format_http_date(last_modified_ms)),
                )
            )

    def check_copy_source(self, etag: str, last_modified_ms: int) -> None:
        """Raise PreconditionFailed unless the copy may go on."""
        self._check_positive(etag, last_modified_ms)
        if self._is_unchanged(etag, last_modified_ms):
            name = "If-None-Match" if self.if_none_match is not None else "If-Modified-Since"
            raise errors.PreconditionFailed(Condition=f"x-amz-copy-source-{name}")

    def _check_positive(self, etag: str, last_modified_ms: int) -> None:
        if self.if_match is not None:
            # A matching If-Match outranks If-Unmodified-Since.
            if not _names(self.if_match, etag):
                raise errors.PreconditionFailed(Condition="If-Match")
        elif self.if_unmodified_since is not None:
            limit_ms = parse_http_date(self.if_unmodified_since)
            if limit_ms is not None and last_modified_ms // 1000 * 1000 > limit_ms:
                raise errors.PreconditionFailed(Condition="If-Unmodified-Since")

    def _is_unchanged(self, etag: str, last_modified_ms: int) -> bool:
        if self.if_none_match is not None:
            return _names(self.if_none_match, etag)
        if self.if_modified_since is not None:
            limit_ms = parse_http_date(self.if_modified_since)
            return limit_ms is not None and last_modified_ms // 1000 * 1000 <= limit_ms
        return False


@dataclass(frozen=True, slots=True)
class WriteConditions:
    """The conditions of a PUT, a completed upload or a DELETE."""

    if_match: str | None = None  # an ETag without quotes, or `*`
    if_none_match: bool = False  # only `*` exists: the key must be free

    def check(self, current_etag: str | None) -> None:
        """Raise unless the write may go on; MUST be asked inside the compare-and-set."""
        if self.if_none_match and current_etag is not None:
            raise errors.PreconditionFailed(Condition="If-None-Match")
        if self.if_match is not None:
            if current_etag is None:
                raise errors.NoSuchKey()
            if self.if_match not in ("*", current_etag):
                raise errors.PreconditionFailed(Condition="If-Match")

    def __bool__(self) -> bool:
        return self.if_none_match or self.if_match is not None


def read_conditions(headers: Headers, prefix: str = "") -> ReadConditions:
    """The conditions of a read; prefix `x-amz-copy-source-` for a copy source."""
    return ReadConditions(
        headers.get(prefix + "if-match"),
        headers.get(prefix + "if-none-match"),
        headers.get(prefix + "if-modified-since"),
        headers.get(prefix + "if-unmodified-since"),
    )


def write_conditions(headers: Headers) -> WriteConditions:
    """The conditions of a write; NotImplemented for those S3 does not take on writes."""
    for name in ("if-modified-since", "if-unmodified-since"):
        if name in headers:
            raise errors.NotImplemented(Header=name)
    none_match = headers.get("if-none-match")
    if none_match is not None and none_match.strip() != "*":
        raise errors.NotImplemented(Header="If-None-Match")
    match = headers.get("if-match")
    return WriteConditions(unquote_etag(match) if match is not None else None, bool(none_match))


def unquote_etag(text: str) -> str:
    """An ETag without its quotes, weak prefix and outer blanks."""
    text = text.strip().removeprefix("W/")
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _names(header: str, etag: str) -> bool:
    """Whether a list of ETags, or `*`, names this one."""
    return header.strip() == "*" or any(unquote_etag(candidate) == etag for candidate in header.split(","))
