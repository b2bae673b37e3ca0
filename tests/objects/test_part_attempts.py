"""Part attempts: answers that were lost, and S3's most parts, through Complete and GC."""

import pytest

from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.objects import gc, multipart, rows
from chalicelib.ports.metadata import Delete
from chalicelib.ports.site import Rules
from tests.builders import KIB, bucket, nobody_waits, site, text
from tests.objects.parts import complete, create, send

PART = 10 * KIB  # three blocks


@pytest.fixture
def west():
    return site(rules=Rules(block_size=4 * KIB, inline_max=16))


@pytest.fixture
def photos(west):
    return bucket(west)


def test_a_part_whose_answer_was_lost_is_read_back(west, photos):
    """Its row stands: the part is there, and Complete gives its bytes."""
    upload = create(west, photos)

    west.metadata.problems = [("after", Indeterminate("answer lost"))]
    part = send(west, upload, 1, b"x" * PART)
    complete(west, photos, upload, [part])

    assert b"x" * PART == text(west, photos.id, "k")


@pytest.mark.parametrize("stands", [True, False], ids=["it stands", "it does not"])
def test_a_part_of_which_nobody_knows_keeps_its_blocks(west, photos, monkeypatch, stands):
    """Its row cannot be read back, or is not there yet: a Complete that finds it gives its bytes."""
    upload = create(west, photos)
    first = send(west, upload, 1, b"x" * PART)
    read_back = [Unavailable("down"), Indeterminate("lost")] if stands else []

    def get(rows):
        if rows[0].sk.startswith(b"p/") and read_back:
            raise read_back.pop()
        return type(west.metadata).get(west.metadata, rows)

    monkeypatch.setattr(west.metadata, "get", get)
    lost = Indeterminate("answer lost")
    west.metadata.problems = [("after", lost) if stands else lost]
    with pytest.raises(Indeterminate):
        send(west, upload, 1, b"x" * PART)

    assert 6 == len(list(west.blocks.list_upload(upload.id)))
    complete(west, photos, upload, [first])
    west.clock.advance(west.rules.leeway_ms)
    gc.run(west, nobody_waits)

    assert 3 == len(list(west.blocks.list_upload(upload.id)))
    assert b"x" * PART == text(west, photos.id, "k")


def test_a_part_that_was_refused_leaves_nothing(west, photos):
    """A determinate failure deletes the attempt's blocks at once."""
    upload = create(west, photos)

    west.metadata.problems = [Unavailable("down")]
    with pytest.raises(Unavailable):
        send(west, upload, 1, b"x" * PART)

    assert [] == list(west.blocks.uploads())


def test_ten_thousand_parts(west, photos, monkeypatch):
    """S3's most: Complete, a repeated Complete, GC and every byte."""
    monkeypatch.setattr(multipart, "PART_BYTES_MIN", 1)
    upload = create(west, photos)
    named = [send(west, upload, n, n.to_bytes(2)) for n in range(1, 10_001)]
    send(west, upload, 1, b"a later attempt that is not named")
    west.metadata.transact([Delete(row) for row in newest_attempt(west, upload, 1)])

    record = complete(west, photos, upload, named)
    assert record == complete(west, photos, upload, named)
    west.clock.advance(west.rules.leeway_ms)
    report = gc.run(west, nobody_waits)

    assert (1, []) == (report.blocks, report.problems)
    assert [] == multipart.attempts(west, upload.id)
    assert b"".join(n.to_bytes(2) for n in range(1, 10_001)) == text(west, photos.id, "k")


def newest_attempt(west, upload, number):
    """The row of the attempt that was sent last."""
    sent = [one for one in multipart.attempts(west, upload.id) if one.part.number == number]
    last = max(sent, key=lambda one: one.modified_ms)
    return [rows.attempt(upload.id, number, last.part.attempt)]
