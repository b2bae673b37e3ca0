"""Multipart uploads: attempts, Complete against Abort, repeated Complete, listings."""

import threading

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.manifest import index_refs
from chalicelib.domain.upload import UploadState
from chalicelib.objects import get, multipart, uploads
from chalicelib.objects.errors import (
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    NoSuchUpload,
    PreconditionFailed,
)
from chalicelib.objects.multipart import NamedPart
from chalicelib.ports.site import Rules
from tests.builders import KIB, Bytes, bucket, keys, put, site, text
from tests.objects.parts import complete, create, send

PART = 10 * KIB  # with PART_BYTES_MIN lowered to it


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(multipart, "PART_BYTES_MIN", PART)


@pytest.fixture
def west():
    return site(rules=Rules(block_size=4 * KIB, inline_max=16))


@pytest.fixture
def photos(west):
    return bucket(west)


def test_parts_become_one_object(west, photos):
    """In order of number, whatever order they were sent in, with gaps in the numbers."""
    upload = create(west, photos, metadata=(("a", "b"),))
    last = send(west, upload, 9, b"z" * 100)
    first = send(west, upload, 2, b"a" * PART)

    record = complete(west, photos, upload, [first, last])

    assert b"a" * PART + b"z" * 100 == text(west, photos.id, "k")
    assert (2, True, (("a", "b"),)) == (record.part_count, record.multipart, record.metadata)
    assert UploadState.COMMITTED is uploads.load(west, upload.id).state


def test_the_etag_of_a_multipart_object(west, photos):
    """The MD5 of the parts' MD5s, then their number: of `hello` alone this one."""
    upload = create(west, photos)

    record = complete(west, photos, upload, [send(west, upload, 1, b"hello")])

    assert "62109206880d38a4010a98e11243924a-1" == record.etag


def test_nothing_is_shown_before_complete(west, photos):
    """An open upload is not an object."""
    send(west, create(west, photos), 1, b"a" * PART)

    assert [] == keys(west, photos.id)


def test_the_newest_attempt_counts(west, photos):
    """A part sent twice: the first attempt's ETag is refused, the second's bytes are read, none mixed."""
    upload = create(west, photos)
    old = send(west, upload, 1, b"old" * PART)
    new = send(west, upload, 1, b"new")

    with pytest.raises(InvalidPart):
        complete(west, photos, upload, [old])
    complete(west, photos, upload, [new])

    assert b"new" == text(west, photos.id, "k")


@pytest.mark.parametrize(
    ("numbers", "refusal"),
    [([2, 1], InvalidPartOrder), ([1, 1], InvalidPartOrder), ([1, 3], InvalidPart), ([], InvalidPart)],
)
def test_parts_are_named_in_order_and_exist(west, photos, numbers, refusal):
    """Anything else is refused, and the upload stays open."""
    upload = create(west, photos)
    sent = {n: send(west, upload, n, b"x" * PART) for n in (1, 2)}
    named = [sent.get(n, NamedPart(n, sent[1].etag)) for n in numbers]

    with pytest.raises(refusal):
        complete(west, photos, upload, named)

    assert UploadState.OPEN is uploads.load(west, upload.id).state


def test_a_wrong_etag_or_checksum(west, photos):
    """A part is what the client says it is, or the Complete is refused."""
    upload = create(west, photos)
    part = send(west, upload, 1, b"x")

    with pytest.raises(InvalidPart):
        complete(west, photos, upload, [NamedPart(1, "0" * 32)])
    with pytest.raises(InvalidPart):
        complete(west, photos, upload, [NamedPart(1, part.etag, "AAAA")])
    complete(west, photos, upload, [NamedPart(1, f'"{part.etag.upper()}"')])


def test_every_part_but_the_last_has_a_least_size(west, photos):
    """One byte less is too small; the last may be as small as it likes."""
    upload = create(west, photos)
    small = send(west, upload, 1, b"x" * (PART - 1))
    last = send(west, upload, 2, b"y")

    with pytest.raises(EntityTooSmall):
        complete(west, photos, upload, [small, last])
    complete(west, photos, upload, [small])

    assert b"x" * (PART - 1) == text(west, photos.id, "k")


def test_a_repeated_complete_gets_the_same_answer(west, photos):
    """Even when the key was overwritten since; with other parts it is no such upload."""
    upload = create(west, photos)
    one, two = send(west, upload, 1, b"x" * PART), send(west, upload, 2, b"y")
    record = complete(west, photos, upload, [one, two])

    assert record == complete(west, photos, upload, [one, two])
    put(west, photos, "k", b"newer")
    assert record.etag == complete(west, photos, upload, [one, two]).etag
    with pytest.raises(NoSuchUpload):
        complete(west, photos, upload, [one])

    assert b"newer" == text(west, photos.id, "k")


def test_abort_drops_everything(west, photos):
    """No blocks, no parts to complete, and a second Abort finds nothing."""
    upload = create(west, photos)
    part = send(west, upload, 1, b"x" * PART)

    multipart.abort(west, photos, "k", upload.id)

    assert [] == list(west.blocks.uploads())
    with pytest.raises(NoSuchUpload):
        complete(west, photos, upload, [part])
    with pytest.raises(NoSuchUpload):
        send(west, upload, 2, b"y")
    with pytest.raises(NoSuchUpload):
        multipart.abort(west, photos, "k", upload.id)


def test_a_completed_upload_cannot_be_aborted(west, photos):
    """The object stays."""
    upload = create(west, photos)
    complete(west, photos, upload, [send(west, upload, 1, b"x" * PART)])

    with pytest.raises(NoSuchUpload):
        multipart.abort(west, photos, "k", upload.id)

    assert b"x" * PART == text(west, photos.id, "k")


@pytest.mark.parametrize("turn", range(5))
def test_of_complete_and_abort_one_wins(turn):
    """At the same time, one is refused: an object with all its bytes, or none and no blocks."""
    west = site(rules=Rules(block_size=4 * KIB, inline_max=16))
    photos = bucket(west)
    upload = create(west, photos)
    part = send(west, upload, 1, b"x" * PART)
    barrier, refused = threading.Barrier(2), []

    def attempt(name, work):
        barrier.wait()
        try:
            work()
        except NoSuchUpload:
            refused.append(name)

    works = {
        "complete": lambda: complete(west, photos, upload, [part]),
        "abort": lambda: multipart.abort(west, photos, "k", upload.id),
    }
    threads = [threading.Thread(target=attempt, args=work) for work in works.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(refused)
    if refused == ["abort"]:
        assert b"x" * PART == text(west, photos.id, "k")
    else:
        assert ([], []) == (keys(west, photos.id), list(west.blocks.uploads()))


def test_a_failed_complete_can_be_tried_again(west, photos):
    """A refused condition or a store that is down leaves the upload open."""
    put(west, photos, "k", b"there")
    upload = create(west, photos)
    part = send(west, upload, 1, b"x" * PART)

    with pytest.raises(PreconditionFailed):
        complete(west, photos, upload, [part], if_none_match=True)
    west.metadata.problems = [Unavailable("down")]
    with pytest.raises(Unavailable):
        complete(west, photos, upload, [part])
    complete(west, photos, upload, [part])

    assert b"x" * PART == text(west, photos.id, "k")


def test_two_part_lists_never_share_an_index_block(west, photos):
    """A Complete that failed and one that names other parts write different index blocks: what the
    first wrote can still be on its way when the second has committed."""
    upload = create(west, photos)
    named = [send(west, upload, n, bytes([n % 256]) * PART) for n in range(1, 302)]

    west.metadata.problems = [Unavailable("down")]
    with pytest.raises(Unavailable):
        complete(west, photos, upload, named)
    of_the_first = [
        block_id for block_id, _ in west.blocks.list_upload(upload.id) if "index" in block_id.attempt
    ]
    record = complete(west, photos, upload, named[:-1])

    assert of_the_first
    assert set() == {ref.id for ref in index_refs(record)} & set(of_the_first)
    assert 300 * PART == len(text(west, photos.id, "k"))


def test_an_upload_belongs_to_one_key_of_one_bucket(west, photos):
    """The id alone opens nothing."""
    films = bucket(west, "films")
    upload = create(west, photos)

    for where, key in ((photos, "other"), (films, "k")):
        with pytest.raises(NoSuchUpload):
            multipart.require(west, where, key, upload.id)
    with pytest.raises(NoSuchUpload):
        multipart.require(west, photos, "k", put(west, photos, "k", b"x" * PART).upload)


def test_a_part_sent_to_an_upload_that_closes_is_taken_back(west, photos):
    """Its blocks arrived after Abort had deleted the others: none stays."""
    upload = create(west, photos)

    class Late(Bytes):
        def finish(self):
            multipart.abort(west, photos, "k", upload.id)
            return super().finish()

    with pytest.raises(NoSuchUpload):
        multipart.upload_part(west, upload, 1, Late(b"x" * PART))

    assert [] == list(west.blocks.uploads())


def test_list_parts(west, photos):
    """The newest attempt at each part, by number."""
    upload = create(west, photos)
    for number, body in ((3, b"c"), (1, b"a"), (1, b"aa"), (10000, b"z")):
        send(west, upload, number, body)

    shown = [(one.part.number, one.part.size) for one in multipart.latest_parts(west, upload.id)]

    assert [(1, 2), (3, 1), (10000, 1)] == shown


def test_the_record_shows_where_a_part_lies(west, photos):
    """Part sizes are kept, so that GET by part number needs no arithmetic on block sizes."""
    upload = create(west, photos)
    named = [send(west, upload, n, b"x" * size) for n, size in ((1, PART), (2, PART + 1), (3, 5))]
    complete(west, photos, upload, named)

    record = get.head(west, photos.id, "k")

    assert [PART, PART + 1, 5] == [part.size for part in record.parts]
