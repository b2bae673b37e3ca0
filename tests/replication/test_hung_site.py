"""A site that takes a connection and never answers: how long it is waited for, and what is said of it."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from chalicelib import bootstrap
from chalicelib.adapters import http_peer
from chalicelib.adapters.http_peer import CONNECT_S, FUNCTION_READ_S, READ_S, HttpPeer
from chalicelib.domain import wire
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.domain.manifest import Block, BlockId, BlockRef
from chalicelib.replication.door import link_context
from chalicelib.replication.links import Link
from chalicelib.settings import Settings
from tests.hosts.functions_site import on_moto

BLOCK = 8 * 1024 * 1024
REF = BlockRef(BlockId("u", "0", 0), Block(BLOCK, bytes(32), bytes(16)), "a")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def hung():
    """An endpoint where nobody answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(10)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def peer(endpoint, **more):
    """Site b there, as a sees it."""
    return HttpPeer(endpoint, me="a", other="b", secret="s" * 32, now_ms=lambda: 0, **more)


@pytest.mark.parametrize(
    ("ask", "lost"),
    [
        (lambda b: b.hello(), Unavailable),
        (lambda b: b.accounts(), Unavailable),
        (lambda b: b.apply([]), Indeterminate),
    ],
    ids=["hello", "accounts", "apply"],
)
def test_given_up_in_time(hung, ask, lost):
    """And it is known why, so that nobody asks the next question."""
    began = time.monotonic()

    with pytest.raises(lost) as given_up:
        ask(peer(hung, read_s=0.3))

    assert 0.3 <= time.monotonic() - began < 2
    assert given_up.value.unanswered and not given_up.value.unreached


@pytest.mark.parametrize(
    "ask", [lambda b: b.tree("1-a", [""]), lambda b: b.wanted("1-a", "0" * 32)], ids=["tree", "wanted"]
)
def test_what_takes_long_there(hung, monkeypatch, ask):
    """Has longer than other questions, if they have less."""
    monkeypatch.setattr(http_peer, "SLOW_READ_S", 0.8)
    began = time.monotonic()

    with pytest.raises(Unavailable):
        ask(peer(hung, read_s=0.1))

    assert 0.8 <= time.monotonic() - began < 3


@pytest.fixture
def slow_line():
    """An endpoint that takes a body at 1 MiB a second, and answers what no site would."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        threading.Thread(target=_take, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _take(listening):
    taken, connection = b"", listening.accept()[0]
    with connection:
        while len(taken) < BLOCK:
            taken += connection.recv(64 * 1024)
            time.sleep(1 / 16)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(wire.pack({})) + wire.pack({})
        )


def test_a_block_over_a_slow_line(slow_line, monkeypatch):
    """Takes longer than a connection may, and arrives: what counts is that it goes on."""
    monkeypatch.setattr(http_peer, "CONNECT_S", 1.0)
    began = time.monotonic()

    peer(slow_line).put_block(REF, bytes(BLOCK))

    assert time.monotonic() - began > 2


def test_a_body_that_nobody_takes(hung, monkeypatch):
    """Is waiting in vain as well."""
    monkeypatch.setattr(http_peer, "CONNECT_S", 0.5)

    with pytest.raises(Indeterminate) as given_up:
        peer(hung).put_block(REF, bytes(BLOCK))

    assert given_up.value.unanswered


def test_no_connection():
    """Nobody listens: down, whatever it was that was asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(Unavailable) as given_up:
        peer(endpoint).apply([])

    assert given_up.value.unreached and not given_up.value.unanswered


def test_two_sites_fit_a_request():
    """A reader's second site is asked before his own front gives him up."""
    limit_s = json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_timeout"]

    assert 2 * (CONNECT_S + FUNCTION_READ_S) < limit_s - 5


def waits_s(node):
    """How long a node waits for a site it is linked to."""
    secret = node.site.vault.wrap("s" * 32, link_context("east"))
    return node.dial(Link("east", "http://127.0.0.1:9", secret, b"", ""))._read_s


def test_a_function_waits_shorter():
    """As it is wired for Lambda."""
    with on_moto() as site:
        assert FUNCTION_READ_S == waits_s(site.node)


def test_a_server_waits_for_slow_lines(tmp_path):
    """In all its processes."""
    settings = Settings.from_environment({"CAUSEWAY_SITE": "west", "CAUSEWAY_DATA": str(tmp_path / "west")})
    with bootstrap.open_main(settings) as main:
        worker = bootstrap.build_worker(settings)
        assert READ_S == waits_s(main.node) == waits_s(worker.node)
        worker.close()
