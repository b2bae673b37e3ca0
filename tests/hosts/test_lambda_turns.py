"""The sweep's minute: a site that hangs, a backlog, and the fold each get their share and no more."""

import json
import secrets
from dataclasses import replace

import pytest

from chalicelib.domain.errors import Corrupt
from chalicelib.hosts import functions, lambda_events
from chalicelib.objects import documents, rows
from chalicelib.ports.metadata import Table
from chalicelib.replication.sink import Sink
from tests.builders import KIB, RULES, Net, keys, put, text
from tests.hosts.s3_events import SMALL, Told, document, s3_event
from tests.replication.hung import VAIN_MS, hang, sent, slow

MINUTE = 60_000
SWEEP_MS = 55_000  # as .chalice/config.json has it


@pytest.fixture
def net():
    return Net("a", "b", "c", rules=replace(RULES, documents=True)).link("a", "b").link("a", "c")


@pytest.fixture
def photos(net):
    return net.make_bucket()


def minutes(net, count):
    """Sweeps, one each minute; how long each took."""
    for _ in range(count):
        began_ms = net.clock.now_ms()
        lambda_events.sweep(net["a"], SWEEP_MS)
        yield net.clock.now_ms() - began_ms
        net.clock.ms = began_ms + MINUTE


def marks(net):
    """How much is not folded yet."""
    return len(net["a"].site.metadata.scan(Table.TREE, rows.dirty_pk(0), limit=1000))


# ---------------------------------------------------------------------------- a site that hangs


def test_a_site_that_hangs(net, photos, monkeypatch):
    """The other's records and blocks arrive in the same sweep, whatever minute it is; the hung one costs
    one call each time, and is known to be down."""
    hang(net, monkeypatch, "b")
    for n in range(4):
        put(net["a"].site, photos, f"k{n}", SMALL)
        [took] = minutes(net, 1)

        assert [] == net.owed("a", "c")
        assert VAIN_MS == took
        assert not net["a"].contacts.read("b").up
        assert f"k{n}" in keys(net["c"].site, photos.id)
    assert 4 == len(net.owed("a", "b"))

    monkeypatch.undo()
    list(minutes(net, 1))
    assert net["a"].contacts.read("b").up and [] == net.owed("a", "b")


def test_the_time_for_a_hung_site_is_one_call(net, photos, monkeypatch):
    """From the second minute on it is greeted first, and nothing else is asked of it."""
    put(net["a"].site, photos, "k", SMALL)
    hang(net, monkeypatch, "b")
    list(minutes(net, 1))

    net.called.clear()
    assert [VAIN_MS] == list(minutes(net, 1))
    assert [("a", "b", "hello")] == [call for call in net.called if call[1] == "b"]


def test_documents_beside_a_hung_site(net, photos, monkeypatch):
    """One call in vain for all documents of a sandbox; what is owed to it the sweep sends."""
    hang(net, monkeypatch, "b")
    net.called.clear()
    names = [document(put(net["a"].site, photos, f"k{n}", SMALL)) for n in range(5)]
    until_ms = net.clock.now_ms() + lambda_events.share_ms(MINUTE)

    count = lambda_events.on_documents(
        s3_event(*names), lambda told: net["a"].serve_document(told, until_ms), "", Told()
    )

    assert {"documents": 5, "served": 10, "ignored": 0, "failed": 0} == count
    assert [] == net.owed("a", "c")
    assert [("a", "b", "apply")] == [call for call in net.called if call[1] == "b"]
    assert not net["a"].contacts.read("b").up


def test_no_document_is_begun_when_time_is_up(net, photos):
    """For none of the links."""
    told = documents.parse(document(put(net["a"].site, photos, "k")))

    assert 0 == net["a"].serve_document(told, net.clock.now_ms())


def test_a_record_that_the_sink_hangs_on(net, photos, monkeypatch):
    """The link is up, a record is too much for it: that one waits with its reason, the others arrive."""
    hang(net, monkeypatch, "b", ["apply"], lambda deliveries: any(b"bad" in one.form for one in deliveries))
    for n in range(20):
        put(net["a"].site, photos, "bad" if n == 7 else f"k{n:02}", b"x")

    assert [VAIN_MS] * 3 == list(minutes(net, 3))

    assert 19 == len(keys(net["b"].site, photos.id))
    [(_, item)] = net.owed("a", "b")
    assert item.tries and "ReadTimeoutError" in item.error


def test_a_sink_that_cannot_be_dialled(net, photos):
    """Its own trouble: counted and told, the other is served."""
    dial = net["a"].dial
    records = [put(net["a"].site, photos, name) for name in ("k", "l")]

    def broken(link):
        if link.site == "b":
            raise Corrupt("its secret is under another key")
        return dial(link)

    net.nodes["a"] = replace(net["a"], dial=broken)
    for minute in range(2):
        net.clock.advance(MINUTE)
        with pytest.raises(Corrupt):
            net["a"].serve_document(documents.parse(document(records[minute])))
        assert ["k", "l"][: minute + 1] == keys(net["c"].site, photos.id)
    put(net["a"].site, photos, "m")
    assert lambda_events.sweep(net["a"], SWEEP_MS)["failed"]
    assert ["k", "l", "m"] == keys(net["c"].site, photos.id)


# ------------------------------------------------------------------------------------- a backlog


def test_one_link_s_backlog(net, photos, monkeypatch):
    """More blocks than fit, for two sinks, and marks that nobody else folds: all three go on each minute."""
    for n in range(100):
        put(net["a"].site, photos, f"k{n:03}", bytes(64 * KIB) + n.to_bytes(4))
    net.records_only()
    slow(net, monkeypatch, 700)
    before = {"b": 0, "c": 0}

    for took in minutes(net, 3):
        assert took <= SWEEP_MS
        assert 0 == marks(net)
        for to, blocks in before.items():
            assert sent(net, to) >= blocks + 10
            before[to] = sent(net, to)
        for n in range(40):
            put(net["a"].site, photos, f"later{before['b']}-{n}", b"x" * 64)


def test_the_time_one_link_leaves(net, photos, monkeypatch):
    """Is the other's: nothing is owed to c, and b gets all but what is kept for the fold."""
    for n in range(100):
        put(net["a"].site, photos, f"k{n:03}", bytes(60 * KIB) + n.to_bytes(4))
    net.records_only()
    net["a"].outbox("c").drop()
    slow(net, monkeypatch, 500)

    [took] = minutes(net, 1)

    assert 32_000 <= took <= 36_000 and sent(net, "b") >= 64


def test_large_beside_small(net, photos, monkeypatch):
    """Small objects without end keep no large one waiting, of whose blocks some go each minute."""
    monkeypatch.setattr("chalicelib.replication.outbox.LARGE_BYTES", 1024 * KIB)
    put(net["a"].site, photos, "large", bytes(range(256)) * 8000)
    for n in range(100):
        put(net["a"].site, photos, f"k{n:03}", bytes(60 * KIB) + n.to_bytes(4))
    net.records_only()
    net["a"].outbox("c").drop()
    slow(net, monkeypatch, 1000)

    list(minutes(net, 2))

    owed = [stage for stage, _ in net.owed("a", "b")]
    assert "small" in owed and "large" not in owed
    assert bytes(range(256)) * 8000 == text(net["b"].site, photos.id, "large")


def test_blocks_beside_records_without_end(net, photos, monkeypatch):
    """A key is written as fast as its record can be sent: blocks go in the other half of the time."""
    for n in range(20):
        put(net["a"].site, photos, f"k{n:03}", SMALL)
    net.records_only()
    real = Sink.apply

    def apply(self, deliveries):
        net.clock.advance(500)
        put(net["a"].site, photos, "busy", b"x")
        return real(self, deliveries)

    monkeypatch.setattr(Sink, "apply", apply)
    put(net["a"].site, photos, "busy", b"x")
    slow(net, monkeypatch, 100)

    list(minutes(net, 2))

    assert sent(net, "b") >= 60 and sent(net, "c") >= 60


# -------------------------------------------------------------------------------- lag, and leases


def test_lag_is_told_before_serving(net, photos, monkeypatch, capsys):
    """A sweep that is ended in the middle has told the alarm."""
    put(net["a"].site, photos, "k", SMALL)
    net.clock.advance(5 * MINUTE)
    wired = type("Wired", (), {"node": net["a"]})
    monkeypatch.setattr(functions, "site", lambda: wired)
    monkeypatch.setattr(functions, "settings", lambda: type("Settings", (), {"site": "a"}))
    monkeypatch.setattr(lambda_events, "sweep", _killed)

    with pytest.raises(Killed):
        functions.sweep.__wrapped__({}, _Context())

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    found = {(one.get("site"), one.get("link")): one["lag_seconds"] for one in told if "lag_seconds" in one}
    assert {("a", None): [300.0], ("a", "b"): [300.0], ("a", "c"): [300.0]} == found
    [worst] = [one for one in told if "lag_seconds" in one and "link" not in one]
    assert {"site", "service"} == set(worst["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0])  # the alarm's


class Killed(BaseException):
    """The process is no more."""


def _killed(*_):
    raise Killed


class _Context:
    aws_request_id = secrets.token_hex(4)
    function_name, memory_limit_in_mb, invoked_function_arn = "sweep", 512, "arn:x"

    def get_remaining_time_in_millis(self):
        """All of it."""
        return SWEEP_MS


def test_a_lease_ends_with_its_driver(net, photos, monkeypatch):
    """Without a queue one function drives one run after another: each lease by what is left then."""
    began_ms, leases = net.clock.now_ms(), {}
    hello = Sink.hello

    def slow_hello(self):
        leases[self._site.id] = net["a"].runs.read(self._site.id).lease_until_ms - began_ms
        net.clock.advance(10_000)
        return hello(self)

    monkeypatch.setattr(Sink, "hello", slow_hello)
    for sink in ("b", "c"):
        net["a"].start_fullsync(sink)

    lambda_events.fullsync(net["a"], 20_000)

    assert {"b": 20_000, "c": 20_000} == leases
