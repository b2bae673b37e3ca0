"""HTTP dates and the ISO dates of S3's XML.

In      header text, or ms since 1970
Out     ms since 1970 (whole seconds from HTTP), or text
Errors  none: what is not a date parses to None, as HTTP says to ignore it
Source  RFC 9110 §5.6.7; Amazon S3 writes `2009-10-12T17:50:30.000Z` in XML
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache


def parse_http_date(text: str) -> int | None:
    """ms since 1970 of an HTTP date in any of its three forms, or None."""
    if not text or not text.isascii() or len(text) > 64:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.timestamp()) * 1000
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=256)
def _http_second(second: int) -> str:
    return formatdate(second, usegmt=True)


def format_http_date(moment_ms: int) -> str:
    """`Wed, 21 Oct 2015 07:28:00 GMT`, independent of the locale."""
    return _http_second(moment_ms // 1000)


@lru_cache(maxsize=1024)
def _iso_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def format_iso_date(moment_ms: int) -> str:
    """`2009-10-12T17:50:30.000Z`, as S3 writes dates in XML."""
    return f"{_iso_second(moment_ms // 1000)}.{moment_ms % 1000:03}Z"
