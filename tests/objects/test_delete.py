"""DELETE: tombstones."""

import pytest

from chalicelib.domain.names import key_hash
from chalicelib.objects import delete, get
from chalicelib.objects.errors import NoSuchKey, PreconditionFailed
from tests.builders import bucket, keys, put, remove, site, text


@pytest.fixture
def west():
    return site()


@pytest.fixture
def photos(west):
    return bucket(west)


def test_a_deleted_key_shows_nothing(west, photos):
    """Neither GET nor LIST; the head is a tombstone with a greater stamp."""
    record = put(west, photos, "k")

    remove(west, photos, "k")

    tombstone = get.current(west, photos.id, key_hash("k"))
    assert not tombstone.live
    assert tombstone.stamp > record.stamp
    assert [] == keys(west, photos.id)
    with pytest.raises(NoSuchKey):
        text(west, photos.id, "k")


def test_deleting_what_was_never_written_leaves_a_tombstone(west, photos):
    """The record may be on its way from another site; the delete must win over it."""
    remove(west, photos, "k")

    assert not get.current(west, photos.id, key_hash("k")).live


def test_deleting_again_takes_a_new_stamp(west, photos):
    """Another site may have written the key since the first delete: the second must win over that too."""
    remove(west, photos, "k")
    first = get.current(west, photos.id, key_hash("k"))
    west.clock.advance(1000)

    remove(west, photos, "k")

    assert get.current(west, photos.id, key_hash("k")).stamp > first.stamp


def test_a_key_lives_again(west, photos):
    """A PUT after a delete is read and listed."""
    put(west, photos, "k", b"one")
    remove(west, photos, "k")

    put(west, photos, "k", b"two")

    assert b"two" == text(west, photos.id, "k")
    assert ["k"] == keys(west, photos.id)


def test_if_match(west, photos):
    """Deletes only what it was told stands there."""
    etag = put(west, photos, "k").etag

    with pytest.raises(PreconditionFailed):
        delete.delete_object(west, photos, "k", "00")
    assert ["k"] == keys(west, photos.id)
    delete.delete_object(west, photos, "k", etag)
    assert [] == keys(west, photos.id)
    with pytest.raises(NoSuchKey):
        delete.delete_object(west, photos, "k", etag)
