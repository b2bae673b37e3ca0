"""Patience: how long a client may take in each state, counted in ticks instead of waiting for them."""

import socket

import pytest

from chalicelib.hosts.line import WINDOW_BYTES, Line, State


@pytest.fixture
def line_and_client():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Line(ours, None), theirs


def is_cut(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1 << 20) == b""
    except BlockingIOError:
        return False


@pytest.mark.parametrize("state", [State.IDLE, State.HEAD, State.WAITING, State.LINGER])
def test_a_client_is_cut_off_when_its_time_is_up(line_and_client, state):
    line, client = line_and_client
    line.state = state
    line.watched()  # sees the state
    for _ in range(state.value):
        line.watched()
    assert not is_cut(client)

    line.watched()

    assert is_cut(client)


def test_nobody_is_cut_off_while_we_are_busy(line_and_client):
    line, client = line_and_client
    line.state = State.BUSY
    for _ in range(1000):
        line.watched()

    assert not is_cut(client)


def test_a_trickle_is_not_progress(line_and_client):
    """One byte a second never ends: what must move in 30 s is WINDOW_BYTES."""
    line, client = line_and_client
    for _ in range(State.WAITING.value + 2):
        client.send(b"x")
        assert line.read(100)
        line.state = State.WAITING
        line.watched()

    assert is_cut(client)


def test_a_slow_line_that_moves_is_progress(line_and_client):
    line, client = line_and_client
    for _ in range(State.WAITING.value * 3):
        client.send(bytes(WINDOW_BYTES // State.WAITING.value + 1))
        assert line.read(WINDOW_BYTES)
        line.state = State.WAITING
        line.watched()

    assert not is_cut(client)


def test_short_requests_are_progress(line_and_client):
    """A client that asks once a minute is seen idle at every tick, and yet it is not."""
    line, client = line_and_client
    for _ in range(5):
        line.begun()
        line.state = State.IDLE
        for _ in range(60):
            line.watched()

    assert not is_cut(client)
