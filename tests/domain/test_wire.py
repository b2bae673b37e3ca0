"""Frames between sites and the signature of a link."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain import wire
from chalicelib.domain.errors import Corrupt

headers = st.dictionaries(st.text(max_size=5).filter(lambda name: name != "blobs"), st.integers() | st.text())
REQUEST = {
    "method": "POST",
    "path": "/causeway/peer/apply",
    "source": "east",
    "target": "west",
    "time_ms": 1_700_000_000_000,
    "body_hash": wire.body_hash(b"frame"),
}


@given(headers, st.lists(st.binary(max_size=50), max_size=4))
def test_pack_and_back(header, blobs):
    """A frame holds what was packed, blob by blob."""
    assert (header, blobs) == wire.unpack(wire.pack(header, blobs))


def framed(text, *blobs):
    """A frame with any header at all."""
    return len(text).to_bytes(4) + text + b"".join(blobs)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xff\xff\xff{}")
@example(framed(b"[]"))
@example(framed(b"7"))
@example(framed(b'{"blobs":7}'))
@example(framed(b'{"blobs":[-1]}'))
@example(framed(b'{"blobs":["1"]}'))
@example(framed(b'{"blobs":[3]}', b"ab"))
@example(framed(b'{"blobs":[1]}', b"ab"))
@example(framed(b'{"blobs":[99999999999999999999]}', b"ab"))
@example(framed(b"[" * 100_000))
def test_any_bytes_are_a_frame_or_corrupt(frame):
    """Nothing a stranger sends raises anything but Corrupt."""
    try:
        header, blobs = wire.unpack(frame)
    except Corrupt:
        return

    assert frame.endswith(b"".join(blobs))
    assert isinstance(header, dict)


@given(st.binary(max_size=60), st.data())
def test_a_cut_frame_is_corrupt(blob, data):
    """A frame that ends early is never taken for a shorter one."""
    frame = wire.pack({"verb": "x"}, [blob])
    cut = data.draw(st.integers(0, len(frame) - 1))

    with pytest.raises(Corrupt):
        wire.unpack(frame[:cut])


def test_the_signature_never_changes():
    """Two sites of different versions agree on it; `openssl dgst -hmac` says the same."""
    expected = "3a96cfd61c6ed9c709e8f4ffa582034b7ab98e9ceeab01bbf2ff01f028e65847"

    assert expected == wire.signature("secret", **REQUEST)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"path": "/causeway/peer/tree"},
        {"source": "north"},
        {"target": "north"},
        {"time_ms": 1_700_000_000_001},
        {"body_hash": wire.body_hash(b"framf")},
        {"body_hash": wire.body_hash(b"")},
        {"body_hash": ""},
    ],
)
def test_the_signature_covers_every_field(changed):
    """Whatever is changed on the way, the signature no longer matches."""
    assert wire.signature("secret", **REQUEST) != wire.signature("secret", **REQUEST | changed)


def test_the_signature_needs_the_secret():
    """Another secret signs otherwise."""
    assert wire.signature("secret", **REQUEST) != wire.signature("Secret", **REQUEST)


@given(st.text(st.characters(), max_size=10), st.text(st.characters(), max_size=10))
@example("\ud800", "x")
@example("ü", "u")
def test_same_compares_any_text(one, other):
    """Constant time or not, it is equality, and no text makes it raise."""
    assert (one == other) == wire.same(one, other)


def test_a_header_is_json():
    """What travels can be read by a person with a dump of it."""
    frame = wire.pack({"verb": "tree"}, [b"ab"])

    assert {"verb": "tree", "blobs": [2]} == json.loads(frame[4:-2])
