"""PUT: inline, in blocks, with an index; conditions; what a failure leaves behind."""

import threading
from dataclasses import replace

import pytest

from chalicelib.domain import codec
from chalicelib.domain.account import BucketState
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.domain.manifest import RECORD_BYTES_MAX, index_refs
from chalicelib.domain.stamp import Stamp
from chalicelib.domain.upload import UploadState
from chalicelib.objects import accounts, get, uploads
from chalicelib.objects.errors import NoSuchBucket, NoSuchKey, PreconditionFailed
from chalicelib.objects.put import PutRequest, put_object
from chalicelib.ports.site import Rules
from tests.builders import KIB, RULES, Bytes, bucket, inner_blocks, keys, put, remove, site, stored_rows, text

TINY = Rules(block_size=KIB, inline_max=8)


@pytest.fixture
def west():
    return site()


@pytest.fixture
def photos(west):
    return bucket(west)


@pytest.mark.parametrize("size", [0, 1, 4 * KIB])
def test_a_small_body_lies_in_the_record(west, photos, size):
    """Up to inline_max bytes need no block and no upload."""
    record = put(west, photos, "k", b"x" * size)

    assert (b"x" * size, "", ()) == (record.inline, record.upload, record.parts)
    assert b"x" * size == text(west, photos.id, "k")
    assert [] == list(west.blocks.uploads())


@pytest.mark.parametrize(
    ("size", "blocks"),
    [(4 * KIB + 1, 1), (64 * KIB - 1, 1), (64 * KIB, 1), (64 * KIB + 1, 2), (192 * KIB, 3)],
)
@pytest.mark.parametrize("piece", [None, 1000])
def test_a_larger_body_lies_in_blocks(west, photos, size, blocks, piece):
    """It is cut into blocks of block_size, the last one shorter, however the bytes arrive."""
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)

    record = put_object(west, photos, PutRequest("k", "ann"), Bytes(body, piece))

    assert blocks == len(record.parts[0].blocks) == len(list(west.blocks.list_upload(record.upload)))
    assert size == record.size == sum(block.size for block in record.parts[0].blocks)
    assert body == text(west, photos.id, "k")


def test_a_long_block_list_lies_in_index_blocks():
    """Some 1,500 blocks no longer fit a record of 64 KiB; it stays small and reads the same."""
    west = site(rules=TINY)
    photos = bucket(west)
    body = bytes(range(256)) * 6000

    record = put(west, photos, "k", body)

    assert () == record.parts
    assert len(codec.encode_record(record)) <= RECORD_BYTES_MAX
    filed = {block_id for block_id, _ in west.blocks.list_upload(record.upload)}
    assert {ref.id for ref in index_refs(record)} < filed
    assert body == text(west, photos.id, "k")


def test_a_record_says_what_the_headers_said(west, photos):
    """Headers, metadata, owner, ETag and the site that took the upload are kept."""
    headers = (("content-type", "text/plain"),)

    put(west, photos, "k", b"hello", headers=headers, metadata=(("a", "b"),))

    record = get.head(west, photos.id, "k")
    assert (headers, (("a", "b"),)) == (record.headers, record.metadata)
    assert ("ann", "5d41402abc4b2a76b9719d911017c592", "west") == (record.owner, record.etag, record.origin)


def test_a_second_put_takes_the_key(west, photos):
    """The newer body is read, its stamp is greater though the clock stood still."""
    first = put(west, photos, "k", b"one")
    second = put(west, photos, "k", b"two")

    assert b"two" == text(west, photos.id, "k")
    assert second.stamp > first.stamp


def test_if_none_match(west, photos):
    """Creates only where nothing stands; a tombstone is nothing."""
    put(west, photos, "k", if_none_match=True)

    with pytest.raises(PreconditionFailed):
        put(west, photos, "k", b"x" * 200_000, if_none_match=True)
    remove(west, photos, "k")
    put(west, photos, "k", b"again", if_none_match=True)

    assert b"again" == text(west, photos.id, "k")


def test_if_match(west, photos):
    """Replaces only what it was told stands there; `*` is any object."""
    etag = put(west, photos, "k", b"one").etag

    put(west, photos, "k", b"two", if_match=etag)
    with pytest.raises(PreconditionFailed):
        put(west, photos, "k", b"three", if_match=etag)
    put(west, photos, "k", b"four", if_match="*")
    with pytest.raises(NoSuchKey):
        put(west, photos, "nothing", if_match="*")

    assert b"four" == text(west, photos.id, "k")


@pytest.mark.parametrize("size", [5, 100 * KIB])
def test_of_many_creators_exactly_one_wins(west, photos, size):
    """Eight threads with If-None-Match: one object, seven refusals, and the winner's bytes."""
    barrier, won, lost = threading.Barrier(8), [], []

    def create(n):
        barrier.wait()
        try:
            won.append(put(west, photos, "k", bytes([n]) * size, if_none_match=True))
        except PreconditionFailed:
            lost.append(n)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, 7) == (len(won), len(lost))
    assert won[0] == get.head(west, photos.id, "k")
    assert won[0].etag == put(west, photos, "other", text(west, photos.id, "k")).etag


def test_many_writers_of_one_key_all_succeed(west, photos):
    """Last writer wins: every plain PUT is acknowledged, the greatest stamp stands."""
    records = []

    def write(n):
        records.append(put(west, photos, "k", str(n).encode()))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == len({record.stamp for record in records})
    assert max(records, key=lambda record: record.stamp) == get.head(west, photos.id, "k")


class Broken(Bytes):
    """A body whose digest turns out wrong."""

    def finish(self):
        raise ValueError("BadDigest")


@pytest.mark.parametrize("size", [5, 100 * KIB])
def test_a_body_that_was_not_as_promised_stores_nothing(west, photos, size):
    """No record, no block; the upload is closed."""
    with pytest.raises(ValueError, match="BadDigest"):
        put_object(west, photos, PutRequest("k", "ann"), Broken(b"x" * size))

    assert [] == keys(west, photos.id)
    assert [] == list(west.blocks.uploads())


def test_a_refused_condition_drops_the_blocks(west, photos):
    """A large body that lost its If-None-Match leaves no block behind."""
    kept = put(west, photos, "k", b"x" * 100 * KIB)

    with pytest.raises(PreconditionFailed):
        put(west, photos, "k", b"y" * 100 * KIB, if_none_match=True)

    assert [kept.upload] == list(west.blocks.uploads())


def test_a_closed_bucket_takes_nothing(west, photos):
    """A PUT that began before DeleteBucket and commits after it is refused."""
    closing = replace(photos.bucket, state=BucketState.CLOSING, stamp=Stamp(west.clock.now_ms(), 1, "west"))
    accounts.save_bucket(west, photos.bucket, closing, name_form=photos.form)

    with pytest.raises(NoSuchBucket):
        put(west, photos, "k")
    with pytest.raises(NoSuchBucket):
        remove(west, photos, "k")

    assert [] == keys(west, photos.id)


@pytest.mark.parametrize("size", [5, 100 * KIB])
def test_a_commit_whose_answer_was_lost_is_found_out(west, photos, size):
    """The write took place, the answer did not arrive: read back, the PUT succeeds once."""
    opening = [None] if size > RULES.inline_max else []
    west.metadata.problems = [*opening, ("after", Indeterminate("lost"))]

    record = put(west, photos, "k", b"x" * size)

    assert record == get.head(west, photos.id, "k")
    assert b"x" * size == text(west, photos.id, "k")


def test_a_commit_that_did_not_take_place_is_told(west, photos):
    """The answer was lost and nothing was written: safe to try again, and it says so."""
    west.metadata.problems = [Indeterminate("lost")]

    with pytest.raises(Unavailable):
        put(west, photos, "k")

    assert [] == keys(west, photos.id)


def test_an_upload_whose_commit_failed_is_closed(west, photos):
    """A store that refuses the commit leaves no open upload and no blocks."""
    west.metadata.problems = [None, Unavailable("down")]

    with pytest.raises(Unavailable):
        put(west, photos, "k", b"x" * 100 * KIB)

    (upload,) = inner_uploads(west)
    assert UploadState.CLOSING is upload.state
    assert [] == list(inner_blocks(west).uploads())


def inner_uploads(at):
    """Every upload row."""
    ids = {pk[2:] for table, pk, sk in stored_rows(at) if table == "uploads" and sk == b"upload"}
    return [uploads.load(at, upload) for upload in ids]


def test_the_gate_works_where_checks_contend():
    """On a store where checks collide the bucket is looked at after the commit instead: the record
    stands by then, so the answer may not say that nothing happened."""
    west = site(checks_contend=True)
    photos = bucket(west)
    put(west, photos, "k")

    closing = replace(photos.bucket, state=BucketState.CLOSING, stamp=Stamp(west.clock.now_ms(), 1, "west"))
    accounts.save_bucket(west, photos.bucket, closing, name_form=photos.form)

    with pytest.raises(Indeterminate):
        put(west, photos, "k2")
