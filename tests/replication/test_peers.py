"""Sink, the door and HttpPeer keep the contract of ports/peers.py; what an HttpPeer makes of failures."""

import socket
from contextlib import ExitStack

import pytest
import urllib3

from chalicelib.adapters.http_peer import HttpPeer, check_endpoint
from chalicelib.domain import wire
from chalicelib.domain.errors import Indeterminate, Refused, Unavailable
from chalicelib.domain.manifest import part_refs
from chalicelib.objects import accounts
from chalicelib.ports.site import Rules
from tests.builders import Events, Net, Wire, door_of, put, text, through_door
from tests.conformance.peers import PeerContract, sent
from tests.replication.server import Servers, authority, dialled, serving


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


# ------------------------------------------------------------------------------ TLS and failures


@pytest.fixture
def net():
    return Net("a", "b", "c").both_ways("a", "b")


def refs_of(record):
    """Every block of a record."""
    return part_refs(record, record.parts)


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
        said = b'"Unavailable"' in frame  # the other site itself: it did not happen
        for write in (
            lambda: peer.apply([]),
            lambda: peer.decide("create_user", {}, "key"),
            lambda: peer.bucket_empty(b"", ()),
        ):
            with pytest.raises(Unavailable if said else Indeterminate):
                write()


def test_a_gateway_that_gives_up_on_a_decision(net):
    """Its 504 says nothing about what was decided: asked again under the same key, decided once."""
    primary, b = door_of(net["a"]), net["b"]

    class Impatient:
        tries = 0

        def handle(self, method, path, *request):
            answer = primary.handle(method, path, *request)
            self.tries += 1
            return (504, b"<html>Gateway Timeout</html>") if self.tries < 3 else answer

    with serving(Impatient()) as endpoint:
        b.names._dial = lambda link: dialled(net, "b", link, endpoint)
        made = b.names.decide("create_user", {"name": "ada"})

    assert [made.access_key] == [user.access_key for user in accounts.all_users(net["a"].site)]


def test_no_more_is_read_than_a_frame(net):
    """However much something else answers, in whatever encoding."""
    bomb = b"x" * (wire.FRAME_BYTES_MAX + 1)
    with serving(Answering(200, bomb)) as endpoint:
        peer = dialled(net, "a", net["a"].links.read().get("b"), endpoint)
        with pytest.raises(Unavailable, match="not as a Causeway site"):
            peer.hello()


def test_where_a_site_is_goes_to_the_log_only(net):
    """Clients are told which site does not answer; the endpoint, and why, is logged once."""
    log = Events()
    peer = dialled(net, "a", net["a"].links.read().get("b"), "http://127.0.0.1:9", log=log)
    for _ in range(2):
        with pytest.raises(Unavailable, match="^site b does not answer$"):
            peer.hello()

    ((name, fields),) = log.told
    assert ("peer_failed", "http://127.0.0.1:9") == (name, fields["endpoint"])


@pytest.mark.parametrize(
    "problem",
    [
        urllib3.exceptions.ProtocolError("cut"),
        urllib3.exceptions.ReadTimeoutError(None, "", "late"),
        urllib3.exceptions.SSLError("bad record mac"),
    ],
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
    with pytest.raises(Indeterminate):
        peer.bucket_empty(b"", ())
