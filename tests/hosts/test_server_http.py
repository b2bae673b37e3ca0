"""What the host makes of bytes on a socket: framing, refusals, 100 Continue, answers cut short."""

import re
import socket
import time

import pytest

from tests.hosts.running import Server, answer, everything, status_of, toy

CHUNKED = b"PUT /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with toy(tmp_path_factory.mktemp("toy"), "1") as running:
        yield running


def answers_in(said: bytes) -> int:
    """How many status lines there are."""
    return len(re.findall(rb"HTTP/1\.1 \d{3} [^\r]*\r\n", said))


# ----------------------------------------------------------------- what is no request

REFUSED = {
    "length and coding": (
        400,
        b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "coding and length": (
        400,
        b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    ),
    "two lengths": (400, b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    "same length twice": (
        400,
        b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    ),
    "list of lengths": (400, b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"),
    "signed length": (400, b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"),
    "huge length": (400, b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    "other coding": (501, b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    "disguised coding": (400, b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    "coding in 1.0": (400, b"PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "bare LF": (400, b"GET /a HTTP/1.1\nHost: x\n\n"),
    "bare LF in a header": (400, b"GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
    "bare CR": (400, b"GET /a HTTP/1.1\r\nHost: x\ry\r\n\r\n"),
    "folded line": (400, b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"),
    "space before colon": (400, b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\n"),
    "NUL": (400, b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"),
    "no host": (400, b"GET /a HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    "another host in the target": (400, b"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two spaces": (400, b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no version": (400, b"GET /a\r\nHost: x\r\n\r\n"),
    "HTTP/2": (505, b"GET /a HTTP/2.0\r\nHost: x\r\n\r\n"),
    "TLS in clear": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "CONNECT": (405, b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n"),
    "no such method": (501, b"FROB /a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "expectation": (417, b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n"),
    "long target": (414, b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    "long headers": (431, b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 33_000 + b"\r\n\r\n"),
    "endless headers": (431, b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 7_000),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_and_the_connection_closed(server: Server, what: str):
    status, request = REFUSED[what]

    said = server.ask(request + b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")

    assert status_of(said) == status
    assert answers_in(said) == 1
    assert b"\r\nConnection: close\r\n" in said


CHUNKED_WRONG = {
    "bare LF": b"5\nhello\r\n0\r\n\r\n",
    "space after size": b"5 \r\nhello\r\n0\r\n\r\n",
    "size too small": b"3\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "huge size": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 20_000,
}


@pytest.mark.parametrize("what", CHUNKED_WRONG)
def test_broken_chunks_raise_in_read(server: Server, what: str):
    said = server.ask(CHUNKED + CHUNKED_WRONG[what])

    assert status_of(said) == 400
    assert said.endswith(b"cut")
    assert answers_in(said) == 1


# ------------------------------------------------------------------------- requests


def test_the_path_arrives_as_it_was_sent(server: Server):
    said = server.get(b"//b/%FF%2f+..//%e2%82%ac?x=%41&y&x=a+b")

    assert b"b'//b/%FF%2f+..//%e2%82%ac'" in said
    assert said.endswith(b"(('x', 'A'), ('y', ''), ('x', 'a b'))")


def test_a_query_that_is_not_text_is_refused(server: Server):
    assert status_of(server.get(b"/a?x=%FF")) == 400


def test_a_target_may_name_the_host_again(server: Server):
    said = server.ask(b"GET http://x/b?c=d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert said.endswith(b"b'/b' (('c', 'd'),)")


@pytest.mark.parametrize("split", [1, 2, 3, 7])
def test_a_head_may_come_in_pieces(server: Server, split: int):
    request = b"\r\nPUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    with server.connect() as client:
        for start in range(0, len(request), split):
            client.sendall(request[start : start + split])

        assert answer(client)[2] == b"hello"


def test_requests_follow_each_other_on_one_connection(server: Server):
    with server.connect() as client:
        for n in range(3):
            client.sendall(b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d" % n)
            assert answer(client)[2] == b"%02d" % n


def test_pipelined_requests_are_answered_in_order(server: Server):
    one = b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    last = one.replace(b"Host: x", b"Host: x\r\nConnection: close")

    said = server.ask(one + b"1" + one + b"2" + last + b"3")

    assert [part[-1:] for part in said.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2", b"3"]


def test_an_unread_body_is_not_taken_for_a_request(server: Server):
    hidden = b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect() as client:
        client.sendall(
            b"PUT /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden
        )
        assert answer(client)[::2] == (403, b"no")
        client.sendall(b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!")
        assert answer(client)[::2] == (200, b"!")


def test_nothing_behind_a_chunked_body_is_taken_for_a_request(server: Server):
    said = server.ask(CHUNKED + b"5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\nGET /pid HTTP/1.1\r\nHost: x\r\n\r\n")

    assert said.endswith(b"\r\n\r\n5 5")
    assert answers_in(said) == 1


def test_the_answer_to_a_body_nobody_reads_still_arrives(server: Server):
    """A close with bytes unread would reset the connection and destroy the answer."""
    with server.connect() as client:
        client.sendall(b"PUT /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(64):
            client.sendall(bytes(1 << 16))
        time.sleep(0.2)

        assert everything(client).endswith(b"no")


def test_a_large_body_is_read_in_large_pieces(server: Server):
    with server.connect() as client:
        client.sendall(b"PUT /read HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n")
        client.sendall(bytes(32 << 20))
        size, largest = answer(client)[2].split()

    assert int(size) == 32 << 20
    assert int(largest) >= 1 << 16


# ------------------------------------------------------------------ bodies cut short


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_cut_short_is_an_error_in_read(server: Server, framing: str):
    begun = {
        "length": b"PUT /read HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhello",
        "chunks": CHUNKED + b"5\r\nhello\r\n",
    }
    said = server.ask(begun[framing], half_close=True)

    assert status_of(said) == 400
    assert said.endswith(b"cut")


def test_a_client_that_goes_away_is_an_error_in_read(server: Server):
    before = len(server.events("read_raised"))
    with server.connect() as client:
        client.sendall(b"PUT /read HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhello")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset

    assert server.wait_for_event("read_raised", 5, before + 1)["code"] == "IncompleteBody"


# ---------------------------------------------------------------------- 100 Continue

EXPECTING = b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


def test_continue_is_said_when_the_body_is_read(server: Server):
    with server.connect() as client:
        client.sendall(b"PUT /read" + EXPECTING)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        assert answer(client)[::2] == (200, b"5 5")


def test_continue_is_not_said_to_a_body_nobody_reads(server: Server):
    said = server.ask(b"PUT /ignore" + EXPECTING)

    assert status_of(said) == 403
    assert b"100 Continue" not in said
    assert b"\r\nConnection: close\r\n" in said


# --------------------------------------------------------------------------- answers


def test_a_large_answer_comes_whole(server: Server):
    front, _, body = server.get(b"/file").partition(b"\r\n\r\n")

    assert b"\r\nContent-Length: 8388608" in front
    assert body == b"".join(bytes([n]) * (1 << 20) for n in range(8))


def test_head_has_the_length_and_no_body(server: Server):
    with server.connect() as client:
        client.sendall(b"HEAD /file HTTP/1.1\r\nHost: x\r\n\r\nGET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
        status, front, _ = answer(client, head=True)
        assert status == 200
        assert b"\r\nContent-Length: 8388608" in front
        assert answer(client)[0] == 200  # what follows is the next answer


def test_no_content_has_neither_length_nor_body(server: Server):
    said = server.get(b"/empty")

    assert status_of(said) == 204
    assert b"content-length" not in said.lower()


@pytest.mark.parametrize("path", [b"/fail", b"/short"])
def test_an_answer_that_fails_ends_short_of_its_length(server: Server, path: bytes):
    with server.connect() as client:
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        said = everything(client)  # the server closes, although the client would have gone on

    assert b"\r\nContent-Length: 1000\r\n" in said
    assert said.endswith(b"\r\n\r\n" + b"x" * 300)
    assert server.wait_for_event("answer_cut_short")["path"]


def test_an_iterator_is_closed_when_it_fails(server: Server):
    before = len(server.events("iterator_closed"))
    server.get(b"/fail")

    server.wait_for_event("iterator_closed", 5, before + 1)


def test_an_answer_never_exceeds_its_length(server: Server):
    body = server.get(b"/long").partition(b"\r\n\r\n")[2]

    assert len(body) <= 100


def test_an_answer_of_unknown_length_is_chunked(server: Server):
    said = server.get(b"/unknown")

    assert b"\r\nTransfer-Encoding: chunked\r\n" in said
    assert said.endswith(b"\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")


def test_a_chunked_answer_that_fails_has_no_end(server: Server):
    said = server.get(b"/failunknown")

    assert said.endswith(b"x" * 300 + b"\r\n")


def test_to_http_1_0_an_unknown_length_ends_with_the_connection(server: Server):
    said = server.ask(b"GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    assert said.endswith(b"\r\n\r\nabcdefg")
    assert b"Transfer-Encoding" not in said


def test_what_a_handler_raises_is_a_500_without_a_word_about_the_inside(server: Server):
    said = server.get(b"/raise")

    assert status_of(said) == 500
    assert b"foresaw" not in said
    assert "nobody foresaw this" in server.wait_for_event("request_failed")["error"]


def test_a_client_that_stops_reading_does_not_hold_up_others(server: Server):
    with server.connect() as sleeper:
        sleeper.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")

        assert status_of(server.get(b"/pid")) == 200
