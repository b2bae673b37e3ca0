"""Direct upload: blocks go from the client straight to the block store; we see names, sizes and hashes.

It is a multipart upload whose parts' blocks took another way: the same rows, the same Complete and Abort,
the same GC. Each part is one block, or several where 10,000 parts of one would not hold the object.

    begin    opens the upload                                        → Upload
    urls     block list of some parts → one presigned PUT a block    nothing is written
    verify   the same lists again: each block as the *store* vouches for it, then the parts' rows
    commit   names the parts; multipart.complete                     → Record

attempt  the blocks of a part are filed under an attempt named after the part's number and block list, so a
         name is only ever presigned for one content: a URL that is still good after the commit can bring
         nothing but the same bytes. Asked again, the same URLs come: a broken upload goes on where it was.
ETag     of a part: the MD5 of its blocks' SHA-256, for nobody here sees the bytes; of the object: as S3's
         multipart ETag, over those
Errors   NotImplemented: this site's store cannot · InvalidRequest: a list that is none · InvalidPart: the
         store does not vouch for a block · and what objects.multipart raises
Source   DESIGN §5 "SHA-256 where the store vouches at write"; docs/direct.md.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from chalicelib.domain.errors import Conflict
from chalicelib.domain.filing import PARTS_MAX
from chalicelib.domain.manifest import Block, BlockId, Checksum, HashAlgorithm, Part, Record
from chalicelib.domain.names import key_hash
from chalicelib.domain.upload import PartAttempt, Upload
from chalicelib.objects import bodies, errors, multipart
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.errors import EntityTooLarge, InvalidPart, InvalidRequest, NoSuchUpload
from chalicelib.objects.get import current
from chalicelib.objects.multipart import OBJECT_BYTES_MAX, NamedPart
from chalicelib.objects.put import PutRequest, check_conditions
from chalicelib.ports.direct import DirectBlocks, Presigned, Vouched
from chalicelib.ports.site import Site

BLOCKS_MAX = 500  # in one call: its URLs fit a function's answer, its HEADs a function's time
URL_MS = 15 * 60 * 1000  # how long a URL is good, if leeway is not shorter
ALGORITHM, KIND = "SHA256", "COMPOSITE"
SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class WantedPart:
    """A part as the client describes it; nothing of it is believed but as a question to the store."""

    number: int
    blocks: tuple[Block, ...]

    @property
    def attempt(self) -> str:
        """What its blocks are filed under."""
        digest = hashlib.blake2b(b"%d" % self.number, digest_size=16)
        for block in self.blocks:
            digest.update(block.size.to_bytes(4) + block.hash)
        return f"d{digest.hexdigest()}"

    def ids(self, upload_id: str) -> list[BlockId]:
        """The names of its blocks."""
        attempt = self.attempt
        return [BlockId(upload_id, attempt, number) for number in range(len(self.blocks))]


def vouched_block(size: int, sha256: bytes) -> Block:
    """A block that the store took by its SHA-256; InvalidRequest if that is none."""
    if len(sha256) != SHA256_BYTES:
        raise InvalidRequest("a SHA-256 has 32 bytes")
    return Block(size, sha256, b"", HashAlgorithm.SHA256)


def offered(site: Site) -> DirectBlocks:
    """What presigns at this site."""
    if site.direct is None:
        raise errors.NotImplemented("this endpoint streams: use ordinary PUT and GET, of any size")
    if not site.direct.refuses_unsigned():
        site.log.event("store_takes_unsigned_writes", level="error", see="docs/direct.md")
        raise errors.NotImplemented(
            "this site gives out no URLs, for its block store takes writes that nobody has signed: use "
            "ordinary PUT and GET; docs/direct.md says what an operator does about it"
        )
    return site.direct


def url_seconds(site: Site) -> int:
    """How long a URL is good: far less than GC waits between closing an upload and its last look."""
    return max(1, min(URL_MS, site.rules.leeway_ms // 2) // 1000)


def part_blocks(site: Site, size: int) -> int:
    """How many blocks each part of an object of `size` bytes must have; 1 where the size is not known (0)."""
    if size > OBJECT_BYTES_MAX:
        raise EntityTooLarge(f"an object has at most {OBJECT_BYTES_MAX} bytes")
    return max(1, -(-size // (site.rules.block_size * PARTS_MAX)))


def begin(site: Site, bucket: OpenBucket, request: PutRequest) -> Upload:
    """Open an upload, if what the request demands of the key holds now; the commit asks again."""
    offered(site)
    check_conditions(request, current(site, bucket.id, key_hash(request.key)))
    return multipart.create(site, bucket, request, ALGORITHM, KIND)


def require(site: Site, bucket: OpenBucket, key: str, upload_id: str) -> Upload:
    """The open upload of that id, if it can take parts this way."""
    offered(site)
    upload = multipart.require(site, bucket, key, upload_id)
    if upload.checksum_algorithm not in ("", ALGORITHM):
        raise InvalidRequest(f"the upload wants {upload.checksum_algorithm} of every part: send them here")
    return upload


def urls(site: Site, upload: Upload, parts: Sequence[WantedPart]) -> list[list[Presigned]]:
    """One presigned PUT for each block of each part."""
    store, expires_s = offered(site), url_seconds(site)
    _check(site, parts)
    return [
        [
            store.presign_put(block_id, block.size, block.hash, expires_s)
            for block_id, block in zip(part.ids(upload.id), part.blocks, strict=True)
        ]
        for part in parts
    ]


def verify(site: Site, upload: Upload, parts: Sequence[WantedPart]) -> list[Part]:
    """Ask the store for every block and keep the parts whose blocks are all there, true; InvalidPart names
    what is not. Asked again, the answer is the same."""
    _check(site, parts)
    _vouch(site, upload, parts)
    now_ms = site.clock.now_ms()
    made = [_part(part) for part in parts]
    attempts = [PartAttempt(part, now_ms) for part in made]
    step = site.metadata.items_max - 1
    try:
        for at in range(0, len(attempts), step):
            multipart.save_attempts(site, upload, attempts[at : at + step])
    except Conflict as problem:
        raise NoSuchUpload(upload.id) from problem
    return made


def commit(
    site: Site, bucket: OpenBucket, request: PutRequest, upload_id: str, named: Sequence[NamedPart]
) -> Record:
    """Turn verified parts into the key's object; the same call again gives the same answer."""
    return multipart.complete(
        site, bucket, request, upload_id, named, _composite, part_bytes_min=site.rules.block_size
    )


def _composite(upload: Upload, parts: tuple[Part, ...]) -> Checksum | None:
    """As S3 computes it over parts of one block; none where a part has several, for their SHA-256 is not
    that of the part."""
    if upload.checksum_algorithm != ALGORITHM or not all(part.checksum for part in parts):
        return None
    joined = b"".join(base64.b64decode(part.checksum) for part in parts)
    value = base64.b64encode(hashlib.sha256(joined).digest()).decode()
    return Checksum(ALGORITHM, KIND, f"{value}-{len(parts)}")


def _check(site: Site, parts: Sequence[WantedPart]) -> None:
    """Refuse lists that no object of this site can be made of."""
    if not parts or sum(len(part.blocks) for part in parts) > BLOCKS_MAX:
        raise InvalidRequest(f"name 1 to {BLOCKS_MAX} blocks at a time")
    if len({part.number for part in parts}) != len(parts):
        raise InvalidRequest("name each part once")
    size = site.rules.block_size
    for part in parts:
        if not 1 <= part.number <= PARTS_MAX:
            raise InvalidRequest(f"a part's number is 1 to {PARTS_MAX}")
        sizes = [block.size for block in part.blocks]
        if not sizes or any(one != size for one in sizes[:-1]) or not 1 <= sizes[-1] <= size:
            raise InvalidRequest(f"part {part.number}: every block but its last has {size} bytes")


def _vouch(site: Site, upload: Upload, parts: Sequence[WantedPart]) -> None:
    store = offered(site)
    wanted = [
        (part.number, block_id, Vouched(block.size, block.hash))
        for part in parts
        for block_id, block in zip(part.ids(upload.id), part.blocks, strict=True)
    ]
    tasks = [site.parallel.start(partial(store.vouched, block_id)) for _, block_id, _ in wanted]
    try:
        found = [task.result() for task in tasks]
    finally:
        bodies.settle_all(tasks)
    for (number, block_id, claimed), vouched in zip(wanted, found, strict=True):
        if vouched != claimed:
            what = "is not there" if vouched is None else "has other bytes, or no SHA-256 the store checked"
            raise InvalidPart(f"block {block_id.number} of part {number} {what}: PUT it, then verify again")


def _part(wanted: WantedPart) -> Part:
    joined = b"".join(block.hash for block in wanted.blocks)
    etag = hashlib.md5(joined, usedforsecurity=False).hexdigest()
    single = base64.b64encode(joined).decode() if len(wanted.blocks) == 1 else ""
    size = sum(block.size for block in wanted.blocks)
    return Part(wanted.number, wanted.attempt, size, etag, single, wanted.blocks)
