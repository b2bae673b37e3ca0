"""Block buffers: nobody waits for one while holding another, nobody waits for ever, nobody holds one idle."""

import threading

import pytest

from chalicelib.adapters.system import ByteBudget, ThreadParallel
from chalicelib.domain.errors import Busy
from chalicelib.objects import bodies, get, multipart
from chalicelib.objects.put import PutRequest
from tests.builders import KIB, Bytes, bucket, put, site, text, whole

BLOCK = 64 * KIB
BODY = bytes(range(256)) * 1000
RANGES = [(0, len(BODY)), (0, BLOCK), (BLOCK, 3 * BLOCK), (1, len(BODY) - 1), (BLOCK - 1, BLOCK + 1), (5, 5)]


class CopiedBody(Bytes):
    """What UploadPartCopy files: the bytes of another object, at hand."""

    def __init__(self, source, body):
        super().__init__(body)
        self.read = source.read


def copy_part(west, upload, number, source, start, end):
    """UploadPartCopy without S3."""
    body = CopiedBody(bodies.Source(west, source, start, end), BODY[start:end])
    return multipart.upload_part(west, upload, number, body, awaited=0).part


@pytest.mark.parametrize("blocks", [1, 3])
def test_copies_never_wait_for_each_other(blocks):
    """Twenty of them, with readers and writers among them, and a budget for one block or three."""
    parallel = ThreadParallel(4)
    west = site(buffers=ByteBudget(blocks * BLOCK), parallel=parallel)
    photos = bucket(west)
    source = put(west, photos, "source", BODY)
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    done, begin = [], threading.Barrier(20)

    def work(n):
        begin.wait()
        if n % 4 == 0:
            done.append(len(put(west, photos, f"k{n}", BODY).parts))
        elif n % 4 == 1:
            done.append(len(whole(west, source)))
        else:
            done.append(copy_part(west, upload, n, source, 0, len(BODY)).size)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert 20 == len(done)
    assert 0 == west.buffers._taken
    parallel.close()


@pytest.mark.parametrize(("start", "end"), RANGES)
@pytest.mark.parametrize("inline", [False, True], ids=["blocks", "inline"])
def test_a_source_gives_the_bytes_that_were_asked_for(start, end, inline):
    """Whatever lies askew of blocks, in reads of any size."""
    west = site()
    photos = bucket(west)
    body = BODY[: 4 * KIB] if inline else BODY
    source = put(west, photos, "source", body)
    end = min(end, len(body))

    for size in (BLOCK, 1000, BLOCK + 1):
        copied, pieces = bodies.Source(west, source, start, end), []
        while piece := copied.read(size):
            pieces.append(piece)
        assert body[start:end] == b"".join(pieces)


def test_a_copied_part_reads_the_same():
    """Askew of the source's blocks, as an object of its own."""
    west = site()
    photos = bucket(west)
    source = put(west, photos, "source", BODY)
    upload = multipart.create(west, photos, PutRequest("k", "ann"))

    part = copy_part(west, upload, 1, source, 7, 200_000)
    named = [multipart.NamedPart(1, part.etag)]
    multipart.complete(west, photos, PutRequest("k", "ann"), upload.id, named, lambda *_: None)

    assert BODY[7:200_000] == text(west, photos.id, "k")
    assert BLOCK == get.head(west, photos.id, "k").parts[0].blocks[0].size


def test_a_client_that_sends_nothing_holds_nothing():
    """Whenever the first bytes of a block are waited for, the whole budget is free."""
    west = site(buffers=ByteBudget(4 * BLOCK))
    held = []

    class Slow(Bytes):
        def read(self, size):
            if self._at % BLOCK == 0:
                held.append(west.buffers._taken)
            return super().read(size)

    blocks = bodies.write_blocks(west, "u1", "0", Slow(BODY, piece=1000 * 8))

    assert (4, {0}) == (len(blocks), set(held))


def test_a_write_that_gets_no_buffer_leaves_nothing(monkeypatch):
    """Busy after a while; neither record nor blocks."""
    monkeypatch.setattr(bodies, "BUFFER_WAIT_MS", 20)
    west = site(buffers=ByteBudget(BLOCK))
    photos = bucket(west)

    with west.buffers.hold(BLOCK), pytest.raises(Busy):
        put(west, photos, "k", BODY)

    assert [] == list(west.blocks.uploads())


def test_a_read_that_gets_no_buffer_says_so_before_its_headers(monkeypatch):
    """`read` itself raises, not the first piece."""
    monkeypatch.setattr(bodies, "BUFFER_WAIT_MS", 20)
    west = site(buffers=ByteBudget(BLOCK))
    record = put(west, bucket(west), "k", BODY)

    with west.buffers.hold(BLOCK), pytest.raises(Busy):
        bodies.read(west, record, 0, record.size)

    assert BODY == whole(west, record)
