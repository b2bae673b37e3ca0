"""Direct uploads: only what the store vouches for becomes an object; nothing is left of what does not."""

import base64
import hashlib
from dataclasses import replace

import pytest

from chalicelib.domain import codec
from chalicelib.domain.manifest import HashAlgorithm
from chalicelib.objects import bodies, direct_get, gc, get, multipart
from chalicelib.objects import direct_put as direct
from chalicelib.objects.errors import (
    EntityTooLarge,
    EntityTooSmall,
    InvalidPart,
    InvalidRequest,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from chalicelib.objects.errors import NotImplemented as NotOffered
from chalicelib.objects.multipart import NamedPart
from tests.builders import (
    HOUR_MS,
    KIB,
    RULES,
    bucket,
    inner_blocks,
    nobody_waits,
    put,
    remove,
    site,
    text,
    whole,
)
from tests.direct import cut, direct_put, file, request, verified, vouching

BODY = bytes(range(256)) * 1000  # four blocks
SIZE = 64 * KIB


@pytest.fixture
def at():
    return vouching(site())


@pytest.fixture
def photos(at):
    return bucket(at)


@pytest.fixture
def upload(at, photos):
    return direct.begin(at, photos, request("k"))


def later(at, ms=25 * HOUR_MS, rounds=3):
    """GC, leeway after leeway."""
    for _ in range(rounds):
        at.clock.advance(ms)
        gc.run(at, nobody_waits)


def stored(at):
    """Every upload that has a block."""
    return list(at.blocks.uploads())


# ------------------------------------------------------------------------------------ there and back


def test_an_object(at, photos):
    """Reads back, block by block by its SHA-256."""
    record = direct_put(at, photos, "k", BODY, headers=(("Content-Type", "text/plain"),))

    assert BODY == text(at, photos.id, "k")
    assert (len(BODY), 4, (("Content-Type", "text/plain"),)) == (
        record.size,
        record.part_count,
        record.headers,
    )
    blocks = [block for part in bodies.parts_of(at, record) for block in part.blocks]
    assert {(HashAlgorithm.SHA256, b"")} == {(block.algorithm, block.check) for block in blocks}


def test_the_checksum_is_s3s(at, photos):
    """The SHA-256 of the parts' SHA-256s, as S3 documents it for COMPOSITE."""
    record = direct_put(at, photos, "k", BODY)

    digests = [hashlib.sha256(BODY[n : n + SIZE]).digest() for n in range(0, len(BODY), SIZE)]
    value = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    assert ("SHA256", "COMPOSITE", f"{value}-4") == (
        record.checksum.algorithm,
        record.checksum.kind,
        record.checksum.value,
    )
    assert record.etag.endswith("-4")


def test_parts_of_several_blocks(at, photos):
    """For what 10,000 parts of one block would not hold; no checksum is claimed that nobody computed."""
    record = direct_put(at, photos, "k", BODY, part_blocks=3)

    assert BODY == text(at, photos.id, "k")
    assert (2, None) == (record.part_count, record.checksum)


def test_a_long_list_of_blocks():
    """Lies in index blocks, and says by its own version who can read it."""
    at = vouching(site(rules=replace(RULES, block_size=KIB)))
    photos = bucket(at)
    body = b"".join(n.to_bytes(4) * 256 for n in range(1200))

    record = direct_put(at, photos, "k", body)

    assert record.index
    assert 2 == codec.record_version(record)
    assert body == text(at, photos.id, "k")
    assert body[1024 * 700 + 5 : 1024 * 702] == b"".join(bodies.read(at, record, 1024 * 700 + 5, 1024 * 702))


def test_damage_is_seen(at, photos):
    """One flipped bit at rest, though no XXH3 of the block is known."""
    record = direct_put(at, photos, "k", BODY)
    ref = next(bodies.slices(record, bodies.parts_of(at, record), 0, 1)).ref
    body = inner_blocks(at).get(ref)
    inner_blocks(at).put(ref.id, bytes([body[0] ^ 1]) + body[1:])

    with pytest.raises(bodies.Missing):
        whole(at, record)


def test_reading_pages(at, photos):
    """Every byte once, in order, with what each block must be; an inline object has no block."""
    record = direct_put(at, photos, "k", BODY)

    first, after = direct_get.page(at, record, 10, len(BODY), limit=2)
    second, end = direct_get.page(at, record, after, len(BODY), limit=2)

    assert [(10, 10, SIZE), (SIZE, 0, SIZE), (2 * SIZE, 0, SIZE), (3 * SIZE, 0, len(BODY) - 3 * SIZE)] == [
        (one.offset, one.piece.start, one.piece.end) for one in first + second
    ]
    assert end is None
    assert all(one.url for one in first + second)
    assert ([], None) == direct_get.page(at, put(at, photos, "small"), 0, 5)


# --------------------------------------------------------------------------------- only what is true


def test_a_block_that_is_not_there(at, photos, upload):
    """The client's word is not enough."""
    (part, pieces), *_ = cut(at, BODY)

    with pytest.raises(InvalidPart, match="block 0 of part 1 is not there"):
        direct.verify(at, upload, [part])
    assert [] == multipart.latest_parts(at, upload.id)


@pytest.mark.parametrize("other", [b"x" * SIZE, b"short"])
def test_a_block_of_other_bytes(at, photos, upload, other):
    """Nor when something lies there."""
    (part, pieces), *_ = cut(at, BODY)
    file(at, upload, part, [other])

    with pytest.raises(InvalidPart, match="other bytes"):
        direct.verify(at, upload, [part])
    assert [] == multipart.latest_parts(at, upload.id)


def test_only_verified_parts_are_committed(at, photos, upload):
    """A part that was PUT and not verified, or named by another ETag, is none."""
    named = verified(at, upload, BODY)
    (part, pieces), *_ = cut(at, b"y" * SIZE)
    file(at, upload, replace(part, number=5), pieces)

    for bad in ([*named, NamedPart(5, "0" * 32)], [replace(named[0], etag="0" * 32), *named[1:]]):
        with pytest.raises(InvalidPart):
            direct.commit(at, photos, request("k"), upload.id, bad)
    with pytest.raises(NoSuchKey):
        get.head(at, photos.id, "k")


def test_one_name_for_one_content(at, upload):
    """A URL for other bytes is a URL for another place, so no good URL can change what was committed."""
    (one, _), *_ = cut(at, BODY)
    (other, _), *_ = cut(at, b"z" * len(BODY))
    places = {one.attempt, other.attempt, replace(one, number=2).attempt}

    assert 3 == len(places)
    assert one.attempt == replace(one).attempt
    assert direct.urls(at, upload, [one]) == direct.urls(at, upload, [one])


def test_lists_that_are_none(at, upload):
    """Too long, too large, out of range, twice: refused before anything is asked of the store."""
    (part, _), *_ = cut(at, BODY)
    full, short = part.blocks[0], direct.vouched_block(5, bytes(32))
    bad = [
        [],
        [direct.WantedPart(1, ())],
        [direct.WantedPart(1, (full,) * (direct.BLOCKS_MAX + 1))],
        [direct.WantedPart(n + 1, (full,)) for n in range(direct.BLOCKS_MAX + 1)],
        [direct.WantedPart(0, (full,))],
        [direct.WantedPart(10_001, (full,))],
        [part, part],
        [direct.WantedPart(1, (short, full))],
        [direct.WantedPart(1, (direct.vouched_block(0, bytes(32)),))],
        [direct.WantedPart(1, (direct.vouched_block(SIZE + 1, bytes(32)),))],
    ]
    for parts in bad:
        for ask in (direct.urls, direct.verify):
            with pytest.raises(InvalidRequest):
                ask(at, upload, parts)


def test_small_parts_are_for_the_end(at, photos, upload):
    """Or 10,000 bytes would make a list of 10,000 blocks."""
    made = []
    for number in (1, 2):
        part = replace(cut(at, b"tiny")[0][0], number=number)
        file(at, upload, part, [b"tiny"])
        made += direct.verify(at, upload, [part])

    with pytest.raises(EntityTooSmall):
        direct.commit(at, photos, request("k"), upload.id, [NamedPart(p.number, p.etag) for p in made])


def test_the_largest_object(at, photos, upload, monkeypatch):
    """As large as S3's, said before the first byte where the size is told, and at the commit in any case."""
    assert 1 == direct.part_blocks(at, 0)
    assert 1 == direct.part_blocks(at, 10_000 * SIZE)
    assert 2 == direct.part_blocks(at, 10_000 * SIZE + 1)
    with pytest.raises(EntityTooLarge):
        direct.part_blocks(at, 5 * 1024**4 + 1)
    monkeypatch.setattr(multipart, "OBJECT_BYTES_MAX", len(BODY) - 1)
    with pytest.raises(EntityTooLarge):
        direct.commit(at, photos, request("k"), upload.id, verified(at, upload, BODY))


# ------------------------------------------------------------------------------- begin, commit, abort


def test_the_same_commit_again(at, photos, upload):
    """After a lost answer: the same answer, also when the key was written since."""
    named = verified(at, upload, BODY)
    first = direct.commit(at, photos, request("k"), upload.id, named)

    assert first == direct.commit(at, photos, request("k"), upload.id, named)
    put(at, photos, "k", b"newer")
    assert first.etag == direct.commit(at, photos, request("k"), upload.id, named).etag
    assert b"newer" == text(at, photos.id, "k")


def test_conditions(at, photos, upload):
    """Asked at the beginning, and again in the commit."""
    named = verified(at, upload, BODY)
    put(at, photos, "k", b"there")

    with pytest.raises(PreconditionFailed):
        direct.begin(at, photos, request("k", if_none_match=True))
    with pytest.raises(PreconditionFailed):
        direct.commit(at, photos, request("k", if_none_match=True), upload.id, named)
    with pytest.raises(NoSuchKey):
        direct.begin(at, photos, request("nothing", if_match="*"))
    assert b"there" == text(at, photos.id, "k")


def test_an_upload_of_another_key_or_kind(at, photos, upload):
    """Names nothing here; one that wants CRCs of its parts cannot have them from us."""
    crc = multipart.create(at, photos, request("crc"), "CRC32", "COMPOSITE")

    for bad in (("other", upload.id), ("k", "0" * 32), ("crc", upload.id)):
        with pytest.raises(NoSuchUpload):
            direct.require(at, photos, *bad)
    with pytest.raises(InvalidRequest, match="CRC32"):
        direct.require(at, photos, "crc", crc.id)


def test_after_the_end(at, photos, upload):
    """A closed or committed upload takes no more parts and gives no more URLs."""
    parts = [part for part, _ in cut(at, BODY)]
    named = verified(at, upload, BODY)
    direct.commit(at, photos, request("k"), upload.id, named)
    with pytest.raises(NoSuchUpload):
        direct.require(at, photos, "k", upload.id)
    with pytest.raises(NoSuchUpload):  # one that was looked at before the commit
        direct.verify(at, upload, parts)

    other = direct.begin(at, photos, request("other"))
    multipart.abort(at, photos, "other", other.id)
    with pytest.raises(NoSuchUpload):
        direct.require(at, photos, "other", other.id)
    with pytest.raises(NoSuchUpload):
        direct.commit(at, photos, request("other"), other.id, named)


def test_a_site_without_such_a_store():
    """Says that it streams."""
    at = site()

    with pytest.raises(NotOffered, match="streams"):
        direct.begin(at, bucket(at), request("k"))


# ------------------------------------------------------------------------------------ nothing is left


def test_what_was_never_committed_goes(at, photos, upload):
    """Blocks that were PUT, verified or not, go with their upload after leeway."""
    verified(at, upload, BODY)

    later(at)

    assert [] == stored(at)
    assert [] == gc.orphans(at)
    with pytest.raises(NoSuchUpload):
        direct.require(at, photos, "k", upload.id)


def test_what_a_late_url_brings_goes(at, photos, upload):
    """A block PUT after the abort is no object's: GC's last look comes long after the URL's end."""
    (part, pieces), *_ = cut(at, BODY)
    multipart.abort(at, photos, "k", upload.id)
    assert direct.url_seconds(at) * 1000 <= at.rules.leeway_ms // 2
    at.clock.advance(direct.url_seconds(at) * 1000)
    file(at, upload, part, pieces)

    later(at)

    assert [] == stored(at)


def test_attempts_that_were_not_named_go(at, photos, upload):
    """What else was PUT into a committed upload is not kept with it."""
    (extra, pieces), *_ = cut(at, b"e" * SIZE)
    file(at, upload, replace(extra, number=7), pieces)
    direct.commit(at, photos, request("k"), upload.id, verified(at, upload, BODY))

    later(at)

    assert 4 == len(list(at.blocks.list_upload(upload.id)))
    assert BODY == text(at, photos.id, "k")


def test_a_deleted_object_goes(at, photos):
    """As any other."""
    direct_put(at, photos, "k", BODY)
    remove(at, photos, "k")

    later(at)

    assert [] == stored(at)
