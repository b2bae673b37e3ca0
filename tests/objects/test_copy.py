"""COPY: blocks are linked, never moved through the caller; the bytes and their ETag stay."""

import pytest

from chalicelib.domain.errors import Conflict, Missing
from chalicelib.domain.manifest import BlockId
from chalicelib.objects import uploads
from chalicelib.objects.copy import copy_object
from chalicelib.objects.errors import NoSuchKey, PreconditionFailed
from chalicelib.objects.put import PutRequest
from chalicelib.ports.site import Rules
from tests.builders import KIB, bucket, inner_blocks, put, remove, site, text

LARGE = bytes(range(256)) * 1000


@pytest.fixture
def west():
    return site()


@pytest.fixture
def photos(west):
    return bucket(west)


def request(key, **fields):
    """What a COPY's headers say."""
    return PutRequest(key, "bob", **fields)


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_a_copy_reads_the_same(west, photos, body):
    """Another key of another bucket holds the same bytes and ETag, with the copy's own owner."""
    films = bucket(west, "films")
    source = put(west, photos, "from", body)

    copied = copy_object(west, source, films, request("to", metadata=(("a", "b"),)))

    assert body == text(west, films.id, "to")
    assert (source.etag, source.size, "bob", (("a", "b"),)) == (
        copied.etag,
        copied.size,
        copied.owner,
        copied.metadata,
    )


def test_a_copy_stands_alone(west, photos):
    """It has an upload of its own: the source may be deleted and collected."""
    source = put(west, photos, "from", LARGE)
    copied = copy_object(west, source, photos, request("to"))

    remove(west, photos, "from")
    west.blocks.delete_upload(source.upload)

    assert copied.upload != source.upload
    assert LARGE == text(west, photos.id, "to")


def test_blocks_are_linked(west, photos, monkeypatch):
    """Not one block is read."""
    source = put(west, photos, "from", LARGE)
    monkeypatch.setattr(type(inner_blocks(west)), "get", None)

    copy_object(west, source, photos, request("to"))


def test_a_copy_with_an_index():
    """A source whose block list lies in index blocks gives a copy with an index of its own."""
    west = site(rules=Rules(block_size=KIB, inline_max=8))
    photos = bucket(west)
    body = LARGE * 6
    source = put(west, photos, "from", body)

    copied = copy_object(west, source, photos, request("to"))
    west.blocks.delete_upload(source.upload)

    assert copied.index
    assert body == text(west, photos.id, "to")


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_onto_itself_writes_only_a_record(west, photos, body):
    """The upload stays, the metadata changes, the stamp grows."""
    source = put(west, photos, "k", body)

    copied = copy_object(west, source, photos, request("k", metadata=(("a", "b"),)))

    assert (source.upload, (("a", "b"),)) == (copied.upload, copied.metadata)
    assert copied.stamp > source.stamp
    assert body == text(west, photos.id, "k")


def test_onto_itself_loses_to_a_put(west, photos):
    """If the object changed meanwhile, nothing of the old one comes back."""
    source = put(west, photos, "k", LARGE)
    put(west, photos, "k", b"new")

    with pytest.raises(Conflict):
        copy_object(west, source, photos, request("k"))

    assert b"new" == text(west, photos.id, "k")


def test_onto_itself_loses_to_gc(west, photos):
    """If the upload is being collected, the record may not name it again."""
    source = put(west, photos, "k", LARGE)
    uploads.close(west, uploads.load(west, source.upload))

    with pytest.raises(NoSuchKey):
        copy_object(west, source, photos, request("k"))


def test_a_missing_block_is_fetched(west, photos):
    """A block that is not here is read through the site's reader and filed."""
    source = put(west, photos, "from", LARGE)
    lost = BlockId(source.upload, "0", 1)
    inner_blocks(west).delete(lost)
    elsewhere = LARGE[64 * KIB : 128 * KIB]

    class Reader:
        def get(self, ref):
            return elsewhere if ref.id == lost else west.blocks.get(ref)

    object.__setattr__(west, "reader", Reader())

    copy_object(west, source, photos, request("to"))

    object.__setattr__(west, "reader", west.blocks)
    assert LARGE == text(west, photos.id, "to")


def test_a_block_nobody_has(west, photos):
    """The copy fails, leaving neither a record nor blocks of its own."""
    source = put(west, photos, "from", LARGE)
    inner_blocks(west).delete(BlockId(source.upload, "0", 1))

    with pytest.raises(Missing):
        copy_object(west, source, photos, request("to"))

    with pytest.raises(NoSuchKey):
        text(west, photos.id, "to")
    assert [source.upload] == list(west.blocks.uploads())


def test_conditions_hold_for_the_target(west, photos):
    """If-None-Match looks at where the copy goes."""
    source = put(west, photos, "from", LARGE)
    put(west, photos, "to", b"there")

    with pytest.raises(PreconditionFailed):
        copy_object(west, source, photos, request("to", if_none_match=True))

    assert b"there" == text(west, photos.id, "to")
