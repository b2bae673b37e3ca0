"""Direct uploads for tests: a store in memory that vouches, and what a client would do, without HTTP.

at = vouching(site("west"))              the same site with a block store that presigns
direct_put(at, into, key, body)          a whole direct upload; the record
cut(at, body)                            a body as the parts and blocks a client would name
file(at, upload, part, pieces)           what the client's PUTs would do
"""

from dataclasses import replace
from hashlib import sha256

from chalicelib.domain.manifest import Block, BlockRef
from chalicelib.objects import direct_put as direct
from chalicelib.objects.multipart import NamedPart
from chalicelib.objects.put import PutRequest
from chalicelib.ports.direct import Presigned, Vouched
from tests.builders import inner_blocks


class MemoryDirect:
    """Vouches for whatever lies in a MemoryBlocks now."""

    def __init__(self, blocks):
        self._blocks = blocks

    def presign_put(self, block_id, size, sha256, expires_s):
        return Presigned(f"memory:{block_id.upload}/{block_id.attempt}/{block_id.number}", {})

    def presign_get(self, block_id, expires_s):
        return Presigned(f"memory:{block_id.upload}/{block_id.attempt}/{block_id.number}", {})

    def refuses_unsigned(self):
        return True

    def vouched(self, block_id):
        body = self._blocks.get(BlockRef(block_id, Block(0, b"", b""), ""))
        return None if body is None else Vouched(len(body), sha256(body).digest())


def vouching(at):
    """The site over a store that presigns."""
    return replace(at, direct=MemoryDirect(inner_blocks(at)))


def cut(at, body, part_blocks=1):
    """[(WantedPart, its blocks' bytes)]."""
    size = at.rules.block_size
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    found = []
    for start in range(0, len(pieces), part_blocks):
        some = pieces[start : start + part_blocks]
        blocks = tuple(direct.vouched_block(len(piece), sha256(piece).digest()) for piece in some)
        found.append((direct.WantedPart(len(found) + 1, blocks), some))
    return found


def file(at, upload, part, pieces):
    """Past the site, straight into its store."""
    for block_id, piece in zip(part.ids(upload.id), pieces, strict=True):
        inner_blocks(at).put(block_id, piece)


def request(key, **fields):
    """What a PUT of `key` would say."""
    return PutRequest(**{"key": key, "owner": "ann", **fields})


def verified(at, upload, body, part_blocks=1):
    """File a whole body and have it verified; the parts as a commit names them."""
    named = []
    per_call = max(1, direct.BLOCKS_MAX // part_blocks)
    parts = cut(at, body, part_blocks)
    for start in range(0, len(parts), per_call):
        some = parts[start : start + per_call]
        for part, pieces in some:
            file(at, upload, part, pieces)
        made = direct.verify(at, upload, [part for part, _ in some])
        named += [NamedPart(part.number, part.etag) for part in made]
    return named


def direct_put(at, into, key, body, part_blocks=1, **fields):
    """The record of a direct upload."""
    at = vouching(at)
    upload = direct.begin(at, into, request(key, **fields))
    return direct.commit(at, into, request(key, **fields), upload.id, verified(at, upload, body, part_blocks))
