"""Sink, the door and HttpPeer keep the contract of ports/peers.py; the door lets nobody else in."""

import socket
from contextlib import ExitStack

import pytest
import urllib3

from chalicelib.adapters.http_peer import HttpPeer, check_endpoint
from chalicelib.domain import wire
from chalicelib.domain.errors import Indeterminate, Refused, Unavailable
from chalicelib.domain.manifest import part_refs
from chalicelib.ports.site import Rules
from tests.builders import MINUTE_MS, START_MS, Net, Wire, door_of, put, text, through_door
from tests.conformance.peers import PeerContract, sent
from tests.replication.server import Servers, authority, dialled, serving

SECRET = "secret of a and b"


class TestSink(PeerContract):
    """The sink's functions, run with the sink's wiring."""

    @pytest.fixture
    def over(self):
        return Wire


class TestDoor(PeerContract):
    """Signed, packed, checked, unpacked, without a socket."""

    @pytest.fixture
    def over(self):
        return through_door


class TestHttpPeer(PeerContract):
    """Over a real HTTP server."""

    @pytest.fixture
    def over(self):
        with ExitStack() as stack:
            yield Servers(stack)

    def test_a_block_of_full_size_fits(self, over):
        """4 MiB go over in one request."""
        net = Net("a", "b", over=over, rules=Rules()).both_ways("a", "b")
        photos, here, there = net.make_bucket(), net["a"].site, net["b"].site
        peer = net["a"].dial(net["a"].links.read().get("b"))
        body = bytes(range(256)) * 16 * 1024 + b"end"
        record = put(here, photos, "k", body)
        peer.apply([sent(record)])

        for ref in refs_of(record):
            peer.put_block(ref, here.blocks.get(ref))

        assert body == text(there, photos.id, "k")


# ------------------------------------------------------------------------------- who may come in


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


@pytest.mark.parametrize("verb", ["apply", "wanted", "put_block", "get_block", "tree", "entries", "decide"])
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
    (ref, *_) = [ref for ref in refs_of(record)]
    from_c = net["c"].dial(net["c"].links.read().get("b"))

    with pytest.raises(Refused, match="no source"):
        from_c.apply([sent(record)])
    with pytest.raises(Refused, match="no source"):
        from_c.put_block(ref, net["a"].site.blocks.get(ref))


def refs_of(record):
    """Every block of a record."""
    return part_refs(record, record.parts)


# ------------------------------------------------------------------------------ TLS and failures


def hello_over(net, endpoint, **changes):
    """Say hello from a to b."""
    return dialled(net, "a", net["a"].links.read().get("b"), endpoint, **changes).hello()


class TestTls:
    """HttpPeer against an https server."""

    @pytest.fixture
    def certificates(self, tmp_path):
        return {name: authority(tmp_path, name) for name in ("ours", "theirs")}

    @pytest.fixture
    def endpoint(self, net, certificates):
        with serving(door_of(net["b"]), certificates["ours"][1]) as endpoint:
            yield endpoint

    def test_the_right_authority(self, net, endpoint, certificates):
        """Its certificate is trusted."""
        assert "b" == hello_over(net, endpoint, ca_file=certificates["ours"][0]).site

    def test_another_authority(self, net, endpoint, certificates):
        """Its certificate is not, and the reason says TLS."""
        with pytest.raises(Unavailable, match="TLS"):
            hello_over(net, endpoint, ca_file=certificates["theirs"][0])

    def test_no_authority(self, net, endpoint):
        """A self-made certificate is not trusted unless the link names its authority."""
        with pytest.raises(Unavailable, match="TLS"):
            hello_over(net, endpoint)

    def test_another_host(self, net, endpoint, certificates):
        """A certificate for 127.0.0.1 does not serve localhost."""
        with pytest.raises(Unavailable, match="TLS"):
            hello_over(net, endpoint.replace("127.0.0.1", "localhost"), ca_file=certificates["ours"][0])

    def test_plain_http_to_a_tls_port(self, net, endpoint):
        """Cannot be asked."""
        with pytest.raises(Unavailable):
            hello_over(net, endpoint.replace("https", "http"))


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://b.example.org",
        "https://b.example.org:8443/",
        "http://127.0.0.1:1",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_endpoints(endpoint):
    """https anywhere, plain http to this machine."""
    assert endpoint.rstrip("/") == check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://b.example.org",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://0.0.0.0",
        "ftp://localhost",
        "b.example.org",
        "https://",
        "https://user:pw@b.example.org",
        "https://b.example.org/path",
        "https://b.example.org?x=1",
        "",
    ],
)
def test_bad_endpoints(endpoint):
    """Refused in words before anything is sent."""
    with pytest.raises(ValueError, match="endpoint"):
        HttpPeer(endpoint, me="a", other="b", secret="s", now_ms=lambda: 0)


def test_nobody_listens(net):
    """Unavailable: it did not happen, whatever it was."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"

    peer = dialled(net, "a", net["a"].links.read().get("b"), endpoint)

    with pytest.raises(Unavailable):
        peer.hello()
    with pytest.raises(Unavailable):
        peer.apply([])


def test_another_site_at_the_endpoint(net):
    """A request signed for b is not for c."""
    net.both_ways("a", "c")

    with serving(door_of(net["c"])) as endpoint, pytest.raises(Refused):
        hello_over(net, endpoint)


class Answering:
    """A door that answers anything at all."""

    def __init__(self, status, frame):
        self._answer = (status, frame)

    def handle(self, *request):
        return self._answer


@pytest.mark.parametrize(
    ("status", "frame"),
    [
        (200, b"<html>hello</html>"),
        (200, b""),
        (200, wire.pack({})),
        (200, wire.pack({"answers": 7, "wanted": 7, "nodes": [7]}, [b""])),
        (502, b"Bad Gateway"),
        (500, wire.pack({})),
        (503, wire.pack({"error": "Unavailable", "message": "busy"})),
        (503, wire.pack({"error": "SystemExit", "message": "x"})),
    ],
    ids=str,
)
def test_an_answer_that_is_none(net, status, frame):
    """Something else listens there, or another version: "don't know", for reads and for writes."""
    with serving(Answering(status, frame)) as endpoint:
        peer = dialled(net, "a", net["a"].links.read().get("b"), endpoint)

        for ask in (peer.hello, lambda: peer.wanted("b", "k"), lambda: peer.tree("b", [""]), peer.accounts):
            with pytest.raises(Unavailable):
                ask()
        with pytest.raises((Unavailable, Indeterminate)):
            peer.apply([])


@pytest.mark.parametrize(
    "problem",
    [urllib3.exceptions.ProtocolError("cut"), urllib3.exceptions.ReadTimeoutError(None, "", "late")],
    ids=str,
)
def test_a_lost_answer(net, problem):
    """A read may be asked again as if nothing had happened; a write may have taken place."""

    class Broken:
        def request(self, *args, **kwargs):
            raise problem

    peer = dialled(net, "a", net["a"].links.read().get("b"), "http://127.0.0.1:9")
    peer._pool = Broken()

    with pytest.raises(Unavailable):
        peer.accounts()
    with pytest.raises(Indeterminate):
        peer.apply([])
    with pytest.raises(Indeterminate):
        peer.decide("create_bucket", {}, "key")
