"""Objects whose blocks are known by SHA-256 go through everything that BLAKE3's do, damage included."""

from dataclasses import asdict, replace

import pytest

from chalicelib.domain import codec
from chalicelib.domain.errors import Corrupt, Missing, Refused
from chalicelib.domain.manifest import HashAlgorithm
from chalicelib.objects import bodies, copy, direct_get, gc, get, tree
from chalicelib.objects.put import PutRequest
from chalicelib.ports.metadata import Put
from chalicelib.ports.peers import Delivery, Outcome
from chalicelib.replication.door import _ref
from chalicelib.replication.links import RECORD, STORED_FORM_VERSION, found_site, site_record
from chalicelib.replication.sink import Sink, missing_blocks
from tests.builders import (
    HOUR_MS,
    KIB,
    RULES,
    Net,
    Wire,
    inner_blocks,
    nobody_waits,
    put,
    text,
    through_door,
    whole,
)
from tests.conformance.peers import blocks_of
from tests.direct import direct_put, vouching

BODY = bytes(range(256)) * 1000  # four blocks
LONG = replace(RULES, block_size=KIB)  # so that a part list needs index blocks
LONG_BODY = b"".join(n.to_bytes(4) * 256 for n in range(1200))


@pytest.fixture(params=[Wire, through_door])
def net(request):
    """In this process, and packed and signed as over HTTP."""
    return Net("a", "b", over=request.param).link("a", "b")


@pytest.fixture
def record(net, photos):
    """b has the record of k, and none of its blocks."""
    made = direct_put(net["a"].site, photos, "k", BODY)
    net.records_only()
    return made


def flip(at, ref):
    """One bit of a block at rest."""
    body = inner_blocks(at).get(ref)
    inner_blocks(at).put(ref.id, bytes([body[0] ^ 1]) + body[1:])


def test_missing_blocks_are_fetched_and_kept(net, photos, record):
    """proxy_get: the reader is served, what was fetched is filed."""
    b = net["b"].site

    assert BODY == text(b, photos.id, "k")

    assert [] == missing_blocks(b, record)
    assert all(b.blocks.get(ref) for ref in blocks_of(record))


def test_only_what_is_here_has_a_url(net, photos, record):
    """A client that reads past the sink is sent through it for what has not arrived, which is kept then."""
    b = vouching(net["b"].site)
    whole_page = [None, None, None, None], None

    def urls():
        found, after = direct_get.page(b, record, 0, record.size)
        return [one.url and True for one in found], after

    assert whole_page == urls()
    second = blocks_of(record)[1]
    assert bodies.fetch(b, second)
    assert ([None, True, None, None], None) == urls()
    net.deliver()
    assert ([True] * 4, None) == urls()


def test_damage_is_detected_and_fetched_anew(net, photos, record):
    """A flipped bit at the sink: seen by SHA-256 alone, healed from the source."""
    b = net["b"].site
    whole(b, record)
    ref = blocks_of(record)[2]
    flip(b, ref)
    with pytest.raises(Corrupt):
        b.blocks.get(ref)

    assert BODY == text(b, photos.id, "k")
    assert b.blocks.get(ref) is not None


def test_damage_at_the_source_does_not_spread(net, photos, record):
    """Neither by proxy_get nor by realtime; no wrong byte is shown."""
    a, b = net["a"].site, net["b"].site
    ref = blocks_of(record)[1]
    flip(a, ref)

    with pytest.raises(Missing):
        text(b, photos.id, "k")
    net.deliver()
    assert [ref] == missing_blocks(b, record)
    with pytest.raises(Refused):
        net["b"].sink_of(net["b"].links.read().get("a")).put_block(ref, inner_blocks(a).get(ref))


def test_realtime(net, photos, record):
    """Record and blocks, and nothing is owed after that."""
    net.deliver()
    b = net["b"].site

    assert [] == net.owed("a", "b")
    assert [] == missing_blocks(b, record)
    assert BODY == text(b, photos.id, "k")


def test_a_long_list(request):
    """Whose index blocks are SHA-256 too."""
    for over in (Wire, through_door):
        net = Net("a", "b", over=over, rules=LONG).link("a", "b")
        photos = net.make_bucket()
        record = direct_put(net["a"].site, photos, "k", LONG_BODY)
        assert {HashAlgorithm.SHA256} == {block.algorithm for block in record.index}
        net.records_only()

        assert LONG_BODY == text(net["b"].site, photos.id, "k")

        net.deliver()
        assert [] == net.owed("a", "b")


def test_fullsync(net, photos):
    """What was written while the line was down arrives; both trees are equal; a second run moves nothing."""
    net.cut.add(("a", "b"))
    net["a"].links.update("b", enabled=False)
    direct_put(net["a"].site, photos, "k", BODY)
    net["a"].links.update("b", enabled=True)
    net.cut.clear()

    first = net.fullsync("a", "b").tally.sent
    net.deliver()

    assert BODY == text(net["b"].site, photos.id, "k")
    roots = []
    for name in ("a", "b"):
        tree.fold(net[name].site)
        roots.append(tree.nodes(net[name].site, photos.id, [""]))
    assert roots[0] == roots[1] != [tree.hashtree.EMPTY]
    assert (1, 0) == (first, net.fullsync("a", "b").tally.sent)


def test_copies(net, photos, record):
    """Under another key by links, onto itself by a record; at the sink without blocks, at the source."""
    for name in ("b", "a"):
        at, into = net[name].site, net.bucket(name)
        source = get.head(at, into.id, "k")

        copy.copy_object(at, source, into, PutRequest(f"copy at {name}", "ann"))
        assert BODY == text(at, into.id, f"copy at {name}")
        copy.copy_object(at, source, into, PutRequest("k", "ann", metadata=(("at", name),)))
        assert BODY == text(at, into.id, "k")
        net.deliver()

    made = get.head(net["b"].site, photos.id, "copy at a")
    assert {HashAlgorithm.SHA256} == {ref.block.algorithm for ref in blocks_of(made)}
    assert BODY == text(net["b"].site, photos.id, "copy at a")


def test_gc(net, photos, record):
    """What a newer object supersedes goes at both sites; no orphan stays."""
    net.deliver()
    put(net["a"].site, photos, "k", b"newer")
    net.deliver()

    for _ in range(3):
        net.clock.advance(25 * HOUR_MS)
        for name in ("a", "b"):
            gc.run(net[name].site, nobody_waits)

    for name in ("a", "b"):
        assert [] == list(net[name].site.blocks.uploads())
        assert [] == gc.orphans(net[name].site)
    assert b"newer" == text(net["b"].site, photos.id, "k")


# -------------------------------------------------------------------------------------- older sites


def test_a_site_that_knows_version_1(net, photos):
    """Is not given what it could not read: over its tables the record waits, and goes once it is upgraded."""
    b = net["b"]
    link = b.links.read().get("a")
    made = direct_put(net["a"].site, photos, "k", BODY)
    plain = put(net["a"].site, photos, "plain", BODY)
    old = Sink(b.site, replace(b.record, version=1), link)

    answers = old.apply([Delivery("object", codec.encode_record(one), ()) for one in (made, plain)])

    assert [Outcome.HELD, Outcome.BLOCKS] == [answer.outcome for answer in answers]
    assert "upgrade" in answers[0].reason
    assert get.current(b.site, photos.id, "k") is None
    net.deliver()
    assert BODY == text(b.site, photos.id, "k")


def test_older_tables_are_raised():
    """At the first start: from then on a program that knows version 1 only refuses them."""
    net = Net("a")
    rows, known = net["a"].site.metadata, net["a"].record
    older = {name: value for name, value in asdict(known).items() if name != "version"}
    rows.transact([Put(RECORD, codec.encode_document(older))])
    assert 1 == site_record(rows).version

    with pytest.raises(Refused, match="the first request"):
        found_site(rows, known, raises=False)
    assert known == found_site(rows, replace(known, incarnation="another"))
    assert known == found_site(rows, known, raises=False)
    assert STORED_FORM_VERSION == site_record(rows).version == 2

    rows.transact([Put(RECORD, codec.encode_document({**older, "version": 3}))])
    with pytest.raises(Refused, match="upgrade it first"):
        found_site(rows, known)


def test_a_hash_not_known_here():
    """Named by a later version, it is refused at the door: never taken for BLAKE3."""
    header = {"id": ["u", "a", 0], "size": 1, "origin": "a"}

    assert HashAlgorithm.BLAKE3 is _ref(header, [bytes(32), bytes(16)]).block.algorithm
    assert HashAlgorithm.SHA256 is _ref({**header, "algorithm": "SHA256"}, [bytes(32), b""]).block.algorithm
    with pytest.raises(KeyError):  # which the door answers as Corrupt
        _ref({**header, "algorithm": "SHA3"}, [bytes(32), b""])


def test_one_hash_is_not_another(net, photos, record):
    """A block under another algorithm's name is not the block the record names."""
    a, b = net["a"].site, net["b"]
    ref = blocks_of(record)[0]
    lie = replace(ref, block=replace(ref.block, algorithm=HashAlgorithm.BLAKE3, check=bytes(16)))

    with pytest.raises(Refused, match="names this block"):
        b.sink_of(b.links.read().get("a")).put_block(lie, bodies.fetch(a, ref))
