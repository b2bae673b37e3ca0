"""Blocks on their way past us: URLs by which a client and the block store speak to each other alone.

    presign_put(block_id, size, sha256, expires_s)   → Presigned   the client PUTs exactly these bytes
    presign_get(block_id, expires_s)                 → Presigned   the client GETs the block
    vouched(block_id)                                → Vouched or None
    refuses_unsigned()                               whether URLs may be given out at all

Promises
  presign_put  the store takes nothing but `size` bytes of that SHA-256, and refuses once something is filed
               there: every header named must be sent, for the signature covers it.
  vouched      what the store itself says it checked at write; None if nothing is filed there. A store that
               kept no SHA-256 of the whole gives b"": that is no answer of ours to build on.
  refuses_unsigned  False where whoever knows the access key, which every URL shows, may write: then the site
               gives no URL to anybody.
  secrecy      a URL is a permission for whoever holds it: it goes to who asked, into no log.
A site without such a store has none (`Site.direct` is None) and streams.
Errors  Unavailable: the store cannot say now
Source  AWS "Uploading objects with presigned URLs", "Checking object integrity", "Conditional requests".
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from chalicelib.domain.manifest import BlockId


# Named tuples: a dataclass takes seven times as long to make, at every cold start of a function.
class Presigned(NamedTuple):
    """A request somebody else may make; `headers` are to be sent as they stand."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Presigned({list(self.headers)})"  # the URL is a permission: it stays out of logs


class Vouched(NamedTuple):
    """What the store says of a block."""

    size: int
    sha256: bytes


class DirectBlocks(Protocol):
    """The block store of one site, as clients reach it."""

    def presign_put(self, block_id: BlockId, size: int, sha256: bytes, expires_s: int) -> Presigned:
        """A PUT of one block."""

    def presign_get(self, block_id: BlockId, expires_s: int) -> Presigned:
        """A GET of one block."""

    def refuses_unsigned(self) -> bool:
        """Whether the store takes nothing from who has not signed it; asked until it does."""

    def vouched(self, block_id: BlockId) -> Vouched | None:
        """Size and SHA-256 of a block as the store checked them."""
