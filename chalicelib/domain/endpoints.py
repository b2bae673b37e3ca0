"""Where another site, or an administrator's command, may be sent: https, or plain http to loopback only.

Errors  ValueError, worded for the operator who gave the endpoint
Source  DESIGN §5 "Links": TLS; secrets never cross a network in clear.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def check_endpoint(endpoint: str) -> str:
    """`endpoint` without a trailing slash, if a link may use it; ValueError saying why not."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if "://" not in endpoint:
        raise ValueError(f"endpoint {endpoint!r}: begin with https://, or http:// on loopback")
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
        raise ValueError(f"endpoint {endpoint!r}: use https://host:port")
    if parts.path not in ("", "/"):
        raise ValueError(f"endpoint {endpoint!r}: leave out the path")
    if parts.scheme == "http" and not _loopback(host):
        raise ValueError(f"endpoint {endpoint!r}: plain http only goes to loopback; use https")
    return endpoint.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
