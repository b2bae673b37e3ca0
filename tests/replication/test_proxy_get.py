"""proxy_get: a client at the sink is served though blocks have not arrived, with true bytes or none."""

import threading
from dataclasses import replace

import pytest

from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.adapters.system import ThreadParallel
from chalicelib.domain.errors import Missing, NoRoom, Refused, StoreError, Unavailable
from chalicelib.domain.manifest import BlockId
from chalicelib.objects import bodies, get, uploads
from tests.builders import KIB, Net, inner_blocks, put, text, through_door, whole
from tests.conformance.peers import blocks_of

BODY = bytes(range(256)) * 1000  # four blocks


@pytest.fixture
def record(net, photos):
    """b has the record of k, and none of its blocks."""
    made = put(net["a"].site, photos, "k", BODY)
    net.records_only()
    return made


def fetched(net, frm="b", to="a"):
    """How many blocks were asked for."""
    return net.calls[frm, to, "get_block"]


@pytest.mark.parametrize("over", [None, through_door])
def test_missing_blocks_are_fetched_and_kept(over):
    """The first reader fetches each block once, the second none."""
    net = Net("a", "b", **({"over": over} if over else {})).link("a", "b")
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", BODY)
    net.records_only()
    b = net["b"].site

    assert BODY == text(b, photos.id, "k")

    assert 4 == len(list(b.blocks.list_upload(record.upload)))
    net.cut.add(("b", "a"))
    net.nodes["b"] = replace(net["b"], dial=None)
    assert BODY == text(b, photos.id, "k")


def test_what_was_fetched_is_not_sent_again(net, photos, record):
    """Realtime finds the blocks there and settles."""
    text(net["b"].site, photos.id, "k")

    net.deliver()

    assert (0, []) == (net.calls["a", "b", "put_block"], net.owed("a", "b"))
    assert [] == net["b"].sink_of(net["b"].links.read().get("a")).incomplete("", 10)


def test_only_the_wanted_blocks(net, photos, record):
    """A range touches the blocks it lies in (read-ahead stops at its end)."""
    b = net["b"].site

    got = b"".join(bodies.read(b, get.head(b, photos.id, "k"), 70 * KIB, 71 * KIB))

    assert BODY[70 * KIB : 71 * KIB] == got
    assert 1 == fetched(net)


@pytest.mark.parametrize("damage", [b"x" * 64 * KIB, b"short"])
def test_a_damaged_block_is_fetched_and_healed(net, photos, record, damage):
    """A disk that lies is read around, and the true block is written over the wrong one."""
    net.deliver()
    b = net["b"].site
    inner_blocks(b).put(BlockId(record.upload, "0", 1), damage)

    assert BODY == text(b, photos.id, "k")

    assert 1 == fetched(net)
    net.cut.add(("b", "a"))
    assert BODY == text(b, photos.id, "k")
    assert 1 == net["b"].counters.all()["blocks_damaged_total", ""]


def test_a_damaged_block_at_the_source_is_healed_from_the_sink(net, photos, record):
    """The way back is open too: what the sink confirmed it can give."""
    net["b"].links.update("a", proxy_get=True)
    net.deliver()
    inner_blocks(net["a"].site).put(BlockId(record.upload, "0", 1), b"x" * 64 * KIB)

    assert BODY == text(net["a"].site, photos.id, "k")


@pytest.mark.parametrize(
    "lie",
    [lambda body: b"x" + body[1:], lambda body: body[:-1], lambda body: b""],
    ids=["flip", "cut", "empty"],
)
def test_wrong_bytes_from_another_site_are_neither_shown_nor_kept(net, photos, record, lie):
    """A provider that lies counts as one that does not have the block."""
    wire = net["b"].dial(net["b"].links.read().get("a"))

    class Liar:
        def get_block(self, ref, asked):
            return lie(wire.get_block(ref, asked))

    net["b"].proxy._dial = lambda link: Liar()

    with pytest.raises(Missing):
        text(net["b"].site, photos.id, "k")

    assert [] == list(net["b"].site.blocks.uploads())
    assert 1 <= net["b"].counters.all()["proxy_get_errors_total", "a"]


def test_dont_know_is_not_not_found(net, photos, record):
    """The source cannot be reached: Unavailable, before the first byte. It says no: Missing."""
    net.cut.add(("b", "a"))
    with pytest.raises(Unavailable):
        text(net["b"].site, photos.id, "k")

    net.cut.clear()
    net["a"].site.blocks.delete_upload(record.upload)
    with pytest.raises(Missing):
        text(net["b"].site, photos.id, "k")


def test_fifty_readers_one_transfer(net, photos, record):
    """However many readers want a block, it travels once."""
    b = replace(net["b"].site, parallel=ThreadParallel(4))
    barrier, got = threading.Barrier(50), []

    def read():
        barrier.wait()
        got.append(whole(b, get.head(b, photos.id, "k")))

    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    b.parallel.close()

    assert [BODY] * 50 == got
    assert 4 == fetched(net)


@pytest.mark.parametrize("problem", [NoRoom("full"), Refused("no"), Unavailable("down")])
def test_a_block_that_cannot_be_kept_is_served_all_the_same(net, photos, record, problem):
    """A full disk at the sink stops no reader."""
    b = net["b"].site

    class Full(MemoryBlocks):
        def put(self, block_id, body):
            raise problem

    b.blocks._inner = Full()

    assert BODY == text(b, photos.id, "k")
    assert "block_not_kept" in b.log.names()


def test_nothing_is_kept_for_an_upload_that_is_closing(net, photos, record):
    """The reader is served, GC is not undone."""
    b = net["b"].site
    uploads.close(b, uploads.load(b, record.upload))

    assert BODY == text(b, photos.id, "k")

    assert [] == list(b.blocks.uploads())


class TestAskingOn:
    """A provider that lacks the block may ask on; nobody is asked twice."""

    @pytest.fixture
    def net(self):
        return Net("a", "b", "c").chain("a", "b", "c")

    def test_through_the_chain(self, net, photos, record):
        """c asks b, b asks a; both keep what came, so that it crosses each line once."""
        c = net["c"].site

        assert BODY == text(c, photos.id, "k")

        assert (4, 4) == (fetched(net, "c", "b"), fetched(net, "b", "a"))
        assert 4 == len(list(c.blocks.list_upload(record.upload)))
        assert BODY == text(net["b"].site, photos.id, "k")
        assert 4 == fetched(net, "b", "a")

    def test_nobody_has_it(self, net, photos, record):
        """Every site says no: Missing."""
        net["a"].site.blocks.delete_upload(record.upload)

        with pytest.raises(Missing):
            text(net["c"].site, photos.id, "k")

    def test_the_end_of_the_chain_is_cut(self, net, photos, record):
        """b cannot ask a, so c does not know."""
        net.cut.add(("b", "a"))

        with pytest.raises(Unavailable):
            text(net["c"].site, photos.id, "k")

    def test_a_ring_is_walked_once(self, net, photos, record):
        """With links all round, a question never comes back to who asked it."""
        net.link("c", "a")
        for name, to in (("a", "c"), ("c", "b"), ("b", "a")):
            net[name].links.update(to, proxy_get=True)
        net["a"].site.blocks.delete_upload(record.upload)

        with pytest.raises(StoreError):
            net["c"].site.reader.get(blocks_of(record)[0]) or missing()

        assert all(count <= 2 for (_, _, verb), count in net.calls.items() if verb == "get_block")

    def test_the_origin_is_asked_first(self, net, photos, record):
        """A site linked to the origin and to another asks the origin, not the other."""
        net.link("a", "c")

        text(net["c"].site, photos.id, "k")

        assert (0, 4) == (fetched(net, "c", "b"), fetched(net, "c", "a"))

    def test_another_site_is_asked_when_the_origin_is_down(self, net, photos, record):
        """The block is at b by now: the cut to a is not noticed."""
        net.deliver()
        net.link("a", "c")
        net["c"].site.blocks.delete_upload(record.upload)
        net.cut.add(("c", "a"))

        assert BODY == text(net["c"].site, photos.id, "k")


def missing():
    """What a reader makes of None."""
    raise Missing("nobody has it")
