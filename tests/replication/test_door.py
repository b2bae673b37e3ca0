"""The door for other sites lets linked ones in by the headers they signed, and nobody else."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from chalicelib.bootstrap.front import peers
from chalicelib.domain import wire
from chalicelib.domain.errors import Refused
from chalicelib.domain.manifest import part_refs
from chalicelib.ports.peers import Outcome
from chalicelib.s3.request import Headers, Request
from tests.builders import MINUTE_MS, START_MS, Net, door_of, keys, put
from tests.conformance.peers import sent

SECRET = "secret of a and b"


@pytest.fixture
def net():
    return Net("a", "b", "c").both_ways("a", "b")


def request(verb="hello", body=None, **changes):
    """What a signs for b, with changes made after signing (or, as `sign_…`, before)."""
    body = wire.pack({}) if body is None else body
    signed = {
        "method": "POST",
        "path": wire.PATH + verb,
        "source": "a",
        "target": "b",
        "time_ms": START_MS,
        "body_hash": wire.body_hash(body),
    }
    signed |= {name[5:]: value for name, value in changes.items() if name.startswith("sign_")}
    headers = {
        wire.FROM: signed["source"],
        wire.TO: signed["target"],
        wire.TIME: str(signed["time_ms"]),
        wire.BODY: signed["body_hash"],
        wire.SIGNATURE: wire.signature(changes.get("secret", SECRET), **signed),
    }
    headers |= changes.get("headers", {})
    for name in changes.get("without", ()):
        del headers[name]
    sent_body = changes.get("body_sent", body)
    return changes.get("method", "POST"), changes.get("path", wire.PATH + verb), headers, sent_body


def answered(net, *made):
    """(status, error name or "") of b's door."""
    method, path, headers, body = made
    status, frame = door_of(net["b"]).handle(method, path, headers, len(body), lambda: body)
    header, _ = wire.unpack(frame)
    return status, header.get("error", "")


def test_a_signed_request_is_answered(net):
    """Or all that follows would prove nothing."""
    assert (200, "") == answered(net, *request())


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "another"},
        {"sign_target": "c"},
        {"sign_source": "c"},
        {"sign_source": "nobody"},
        {"sign_method": "GET"},
        {"sign_path": wire.PATH + "accounts"},
        {"path": wire.PATH + "accounts"},
        {"method": "GET"},
        {"body_sent": wire.pack({"more": 1})},
        {"body_sent": b""},
        {"headers": {wire.BODY: wire.body_hash(b"more")}},
        {"headers": {wire.BODY: ""}},
        {"headers": {wire.TO: "c"}},
        {"headers": {wire.FROM: "b"}},
        {"headers": {wire.TIME: str(START_MS + 1)}},
        {"headers": {wire.TIME: "soon"}},
        {"headers": {wire.TIME: "٣"}},
        {"headers": {wire.SIGNATURE: ""}},
        {"headers": {wire.SIGNATURE: "ü"}},
        {"without": [wire.SIGNATURE]},
        {"without": [wire.FROM]},
        {"without": [wire.TO]},
        {"without": [wire.TIME]},
        {"without": [wire.BODY]},
    ],
    ids=str,
)
def test_anything_changed_is_refused(net, changes):
    """Wrong secret, target, source, path, method, body or time: 403, and nothing is learnt."""
    assert (403, "Refused") == answered(net, *request(**changes))


@pytest.mark.parametrize(
    ("off_ms", "status"),
    [
        (0, 200),
        (5 * MINUTE_MS, 200),
        (-5 * MINUTE_MS, 200),
        (5 * MINUTE_MS + 1, 403),
        (-5 * MINUTE_MS - 1, 403),
    ],
)
def test_the_window_is_five_minutes(net, off_ms, status):
    """Older or newer, the request is refused and the clocks are named."""
    assert status == answered(net, *request(sign_time_ms=START_MS + off_ms))[0]


@pytest.mark.parametrize("verb", ["", "drop", "../hello", "__class__", "hello/"])
def test_an_unknown_verb(net, verb):
    """Signed or not, there is no such door."""
    assert (403, "Refused") == answered(net, *request(verb))


@pytest.mark.parametrize(
    "verb", ["apply", "wanted", "put_block", "get_block", "fold", "tree", "entries", "decide"]
)
@pytest.mark.parametrize("body", [b"", b"garbage", wire.pack({}), wire.pack({"id": 7, "deliveries": [1]})])
def test_bad_arguments(net, verb, body):
    """A signed request that makes no sense is told so; it breaks nothing."""
    assert (400, "Corrupt") == answered(net, *request(verb, body))


def test_only_a_source_may_write(net):
    """A site that is linked only as a sink hands over neither records nor blocks."""
    net.link("b", "c")
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", b"x" * 100_000)
    net.deliver()
    (ref, *_) = [ref for ref in part_refs(record, record.parts)]
    from_c = net["c"].dial(net["c"].links.read().get("b"))

    with pytest.raises(Refused, match="no source"):
        from_c.apply([sent(record)])
    with pytest.raises(Refused, match="no source"):
        from_c.put_block(ref, net["a"].site.blocks.get(ref))


class StrangersBody:
    """16 MiB that nobody asked for."""

    length = wire.FRAME_BYTES_MAX

    def __init__(self):
        self.sent = 0

    def read(self, size):
        self.sent += size
        return b"x" * size


def test_a_strangers_body_is_not_read(net):
    """Who has not signed is refused by the headers alone."""
    body = StrangersBody()
    asked = Request(
        "POST", wire.PATH.encode() + b"apply", (), Headers([("host", "b")]), body, True, "9.9.9.9"
    )

    assert 403 == peers(door_of(net["b"]))(asked).status
    assert 0 == body.sent


@pytest.mark.parametrize(
    ("verb", "length", "held"), [("put_block", 4 << 20, [4 << 20]), ("tree", 1 << 20, []), ("tree", 1000, [])]
)
def test_bodies_take_room_from_the_buffers(net, verb, length, held):
    """Large ones, of the verbs that carry something, count against the budget; others stay small."""
    b, taken = net["b"], []

    class Budget:
        @contextmanager
        def hold(self, nbytes):
            taken.append(nbytes)
            yield

    object.__setattr__(b.site, "buffers", Budget())
    method, path, headers, body = request(verb, b"x" * length)
    status, _ = door_of(b).handle(method, path, headers, length, lambda: body)

    assert (held, status) == (taken, 403 if length == 1 << 20 else 400)


def test_a_record_that_would_break_listings(net):
    """A linked site's record of the year 3 million is refused, and the listing goes on."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k")
    peer = net["a"].dial(net["a"].links.read().get("b"))

    (answer,) = peer.apply([sent(replace(record, modified_ms=10**17))])

    assert Outcome.REFUSED is answer.outcome
    assert [] == keys(net["b"].site, photos.id)
