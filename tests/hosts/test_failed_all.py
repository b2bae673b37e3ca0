"""`causeway failed retry --all`: however much there is, a request at a time."""

from dataclasses import replace

import pytest

from chalicelib.cli.failed import _all_tried_again
from chalicelib.hosts.failed import LETTERS_MAX, RETRY_MS, Failed
from chalicelib.objects.errors import InvalidRequest
from chalicelib.ports.queues import NO_QUEUES, Queues
from chalicelib.replication.outbox import RECORD, RETRY_MAX_MS
from tests.builders import Net, put
from tests.queues import MemoryQueue

FRONT_MS = 29_000  # an API gateway gives a request no more


@pytest.fixture
def net():
    return Net("a", "b", "c").link("a", "b").link("a", "c")


@pytest.fixture
def queues():
    return Queues(documents=MemoryQueue("documents"), documents_dead=MemoryQueue("documents-dead"))


class Site:
    """The admin API as the command sees it; each request's time."""

    def __init__(self, net, queues=NO_QUEUES):
        self.failed, self.clock, self.took = Failed(net["a"], queues), net.clock, []

    def post(self, noun, **fields):
        began_ms = self.clock.now_ms()
        done = self.failed.change(noun, fields)
        self.took.append(self.clock.now_ms() - began_ms)
        return done


class At:
    """What a command is given."""

    def __init__(self, site):
        self.site, self.out, self.notes = site, self, []

    def note(self, text):
        self.notes.append(text)


def tried(net, to, count):
    """As many items that were tried and wait for their next try."""
    outbox = net["a"].outbox(to)
    for owing in outbox.due(RECORD, count):
        often = replace(owing, item=replace(owing.item, tries=9))
        outbox.retry(often, RECORD, "NoRoom: no space left")


def waiting(net, to):
    """How many items wait for their next try."""
    now_ms = net.clock.now_ms()
    return sum(int.from_bytes(owing.row.sk[:6]) > now_ms for _, owing in net["a"].outbox(to).all())


def slowed(net, monkeypatch, ms):
    """Every transaction at a takes a while."""
    metadata = net["a"].site.metadata
    real = metadata.transact

    def transact(writes):
        net.clock.advance(ms)
        return real(writes)

    monkeypatch.setattr(metadata, "transact", transact)
    return real


def test_more_letters_than_are_shown(net, queues):
    """All of them, in one request where there is time."""
    for n in range(LETTERS_MAX * 2 + 5):
        queues.documents_dead.send(str(n))
    at = At(Site(net, queues))

    assert {"action": "retry", "letters": 205, "links": 2} == _all_tried_again(at)

    assert (205, 0) == (len(queues.documents.bodies), len(queues.documents_dead.bodies))
    assert [] == at.notes and 1 == len(at.site.took)


def test_more_letters_than_time(net, queues, monkeypatch):
    """Each request ends long before its front's time, and says that there is more."""
    for n in range(205):
        queues.documents_dead.send(str(n))
    send = queues.documents.send
    monkeypatch.setattr(queues.documents, "send", lambda body: (net.clock.advance(300), send(body)))
    at = At(Site(net, queues))

    assert 205 == _all_tried_again(at)["letters"]

    assert max(at.site.took) < FRONT_MS / 2 and len(at.site.took) > 3
    assert len(at.notes) == len(at.site.took) - 1 and "more" in at.notes[0]
    assert [] == queues.documents_dead.bodies


def test_more_owed_than_time(net, monkeypatch):
    """Every item that waits is due at last, over several requests."""
    photos = net.make_bucket()
    for n in range(40):
        put(net["a"].site, photos, f"k{n}")
    for to in ("b", "c"):
        tried(net, to, 40)
    assert 40 == waiting(net, "b") == waiting(net, "c")
    slowed(net, monkeypatch, 600)
    at = At(Site(net))

    _all_tried_again(at)

    assert 0 == waiting(net, "b") == waiting(net, "c")
    assert len(at.site.took) > 3 and max(at.site.took) < RETRY_MS + 1000


def test_what_fails_again_at_once(net, monkeypatch):
    """Is not moved for ever: after as long as an item waits at most, all that was asked for has been done."""
    photos = net.make_bucket()
    for n in range(40):
        put(net["a"].site, photos, f"k{n}")
    tried(net, "b", 40)
    quick = slowed(net, monkeypatch, 600)
    site = Site(net)
    post, began_ms = site.post, net.clock.now_ms()

    def failing(noun, **fields):
        done = post(noun, **fields)
        monkeypatch.setattr(net["a"].site.metadata, "transact", quick)
        tried(net, "b", 40)
        slowed(net, monkeypatch, 600)
        return done

    site.post = failing
    _all_tried_again(At(site))

    assert net.clock.now_ms() - began_ms <= RETRY_MAX_MS + RETRY_MS


def test_a_healed_link_s_items(net, monkeypatch):
    """`realtime start` asks the same: it is bounded too."""
    photos = net.make_bucket()
    for n in range(40):
        put(net["a"].site, photos, f"k{n}")
    tried(net, "b", 40)
    slowed(net, monkeypatch, 600)
    began_ms = net.clock.now_ms()

    assert not net["a"].outbox("b").retry_now()

    assert net.clock.now_ms() - began_ms < FRONT_MS / 2


@pytest.mark.parametrize(
    "fields",
    [{"all": True, "began_ms": "1"}, {"all": True, "began_ms": True}, {"id": "x", "began_ms": 1}],
    ids=repr,
)
def test_wrong_use(net, queues, fields):
    """Refused."""
    with pytest.raises(InvalidRequest):
        Failed(net["a"], queues).change("", {"action": "retry", **fields})


@pytest.mark.parametrize("began_ms", [-(10**30), 0, 10**30])
def test_any_beginning(net, began_ms):
    """Whatever a caller says of when he began."""
    done = Failed(net["a"], NO_QUEUES).change("", {"action": "retry", "all": True, "began_ms": began_ms})

    assert not done["more"]
