"""What travels between sites: a JSON header and byte strings, and the signature of a link.

Frame      header length (u32) + header (JSON, "blobs": their lengths) + the blobs, in order
Signature  HMAC-SHA256 over method, path, from, to, time and the body's SHA-256, under the link's secret. That
           hash is a header of its own, so that a request is believed or not before its body is read
Block      header fields id, size, origin, and the blobs hash and check; `algorithm` (SHA256) unless the
           hash is BLAKE3. Who does not know that field has no such block and says so
Window     5 minutes: a replay inside it has no effect, for every verb is idempotent
Errors     Corrupt for a frame that is not one; sizes are checked before anything is cut out
Source     DESIGN §5 "Links"; the shape follows AWS SigV4's string to sign.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Sequence
from typing import Any

from chalicelib.domain.errors import Corrupt

_LENGTH = struct.Struct(">I")
FRAME_BYTES_MAX = 16 * 1024 * 1024  # 100 records of 64 KiB, or one block, with room
WINDOW_MS = 5 * 60 * 1000
FROM, TO, TIME, BODY, SIGNATURE = (
    "x-causeway-from",
    "x-causeway-to",
    "x-causeway-time",
    "x-causeway-body",
    "x-causeway-signature",
)
PATH = "/causeway/peer/"
NO_SUCH_VERB = "no such verb"  # how a site says that it is of another version


def pack(header: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> bytes:
    """One frame."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((_LENGTH.pack(len(text)), text, *blobs))


def unpack(frame: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header and blobs of a frame."""
    try:
        end = 4 + _LENGTH.unpack_from(frame)[0]
        header = json.loads(frame[4:end])
        sizes = header.pop("blobs")
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise Corrupt("a frame has blobs of no size")
        if end + sum(sizes) != len(frame):
            raise Corrupt("a frame is cut short or too long")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise Corrupt("a frame cannot be read") from problem
    blobs = []
    for size in sizes:
        blobs.append(frame[end : end + size])
        end += size
    return header, blobs


def body_hash(body: bytes) -> str:
    """What the BODY header says of a body, 64 hex digits."""
    return hashlib.sha256(body).hexdigest()


def signature(
    secret: str, *, method: str, path: str, source: str, target: str, time_ms: int, body_hash: str
) -> str:
    """The signature of one request, 64 hex digits."""
    text = "\n".join(("CAUSEWAY1", method, path, source, target, str(time_ms), body_hash))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Constant-time equality that no text can make raise."""
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))
