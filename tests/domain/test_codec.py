"""Stored forms: what was written can be read, for ever, and nothing else is taken for it."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain import codec, forms
from chalicelib.domain.errors import Corrupt
from chalicelib.domain.manifest import Part, Record
from tests.domain import values
from tests.domain.golden import BLOCK, MIXED, PART, STAMP, VALUES, VALUES_2, VOUCHED, stored

GOLDEN = stored(version=1)
GOLDEN_2 = stored(version=2)
DECODERS = {
    "record": codec.decode_record,
    "parts": codec.decode_parts,
    "document": codec.decode_document,
    "upload": forms.decode_upload,
    "attempt": forms.decode_attempt,
    "user": forms.decode_user,
    "bucket": forms.decode_bucket,
}


@pytest.mark.parametrize("name", VALUES)
def test_version_1_is_still_read(name):
    """The bytes version 1 stored are the value they were written for."""
    value, _, decode = VALUES[name]

    assert value == decode(GOLDEN[name])


@pytest.mark.parametrize("name", VALUES)
def test_version_1_is_still_written(name):
    """Two sites of one version write one record the same way, or their trees would never agree."""
    value, encode, _ = VALUES[name]

    assert GOLDEN[name].hex() == encode(value).hex()


@pytest.mark.parametrize("name", VALUES_2)
def test_version_2_is_still_read_and_written(name):
    """What names blocks by SHA-256 as well."""
    value, encode, decode = VALUES_2[name]

    assert value == decode(GOLDEN_2[name])
    assert GOLDEN_2[name].hex() == encode(value).hex()


@given(values.records())
def test_record(record):
    """A record is what its form says, and its form is canonical."""
    form = codec.encode_record(record)

    assert record == codec.decode_record(form)
    assert form == codec.encode_record(codec.decode_record(form))


@given(st.lists(values.parts(), max_size=4).map(tuple))
def test_parts(parts):
    """So is a part list."""
    assert parts == codec.decode_parts(codec.encode_parts(parts))


@given(st.lists(values.parts(), max_size=4, unique_by=lambda part: part.attempt).map(tuple))
def test_one_block_of_a_part_list(parts):
    """Is found where it lies, without decoding the others; what is not there is None."""
    form = codec.encode_parts(parts)

    for part in parts:
        found = [codec.find_block(form, part.attempt, n) for n in range(len(part.blocks))]
        assert list(part.blocks) == found
        assert codec.find_block(form, part.attempt, len(part.blocks)) is None
        assert codec.find_block(form, part.attempt, -1) is None
    assert codec.find_block(form, "another attempt", 0) is None


@given(values.uploads)
def test_upload(upload):
    """So is an upload."""
    assert upload == forms.decode_upload(forms.encode_upload(upload))


@given(values.attempts)
def test_attempt(attempt):
    """So is a part attempt."""
    assert attempt == forms.decode_attempt(forms.encode_attempt(attempt))


@given(values.buckets)
def test_bucket(bucket):
    """So is a bucket."""
    assert bucket == forms.decode_bucket(forms.encode_bucket(bucket))


@given(values.users)
def test_user(user):
    """So is a user."""
    assert user == forms.decode_user(forms.encode_user(user))


@given(values.records(), values.records())
def test_different_records_have_different_forms(one, other):
    """No two records share a form, so equal digests mean equal records."""
    assert (one == other) == (codec.encode_record(one) == codec.encode_record(other))


@pytest.mark.parametrize("kind", DECODERS)
@given(form=st.binary(max_size=100))
@example(form=b"")
@example(form=b"{}")
@example(form=b"[]")
@example(form=b"7")
@example(form=b'{"v":1}')
@example(form=b'{"v":1,"x":{"b64":7}}')
@example(form=b'{"v":1,"x":{"b64":"="}}')
@example(form=b'{"v":1,"x":{"st":"never"}}')
@example(form=b'{"v":1,"x":{"st":7}}')
@example(form=b"[" * 100_000)
@example(form=b"CR1\x00\x01\x86\xa0" + b"[" * 100_000)
@example(form=b"CP1\x00\x00\x00\x02[]")
def test_any_bytes_are_a_form_or_corrupt(kind, form):
    """Whatever a disk or a stranger gives, decoding raises nothing but Corrupt."""
    try:
        DECODERS[kind](form)
    except Corrupt:
        pass


@pytest.mark.parametrize("name", VALUES)
@given(data=st.data())
def test_a_damaged_form_is_read_or_corrupt(name, data):
    """One byte of a real form changed: another value perhaps, Corrupt perhaps, nothing else."""
    form = bytearray(GOLDEN[name])
    form[data.draw(st.integers(0, len(form) - 1))] = data.draw(st.integers(0, 255))
    decode = VALUES[name][2]

    try:
        decode(bytes(form))
    except Corrupt:
        pass


@pytest.mark.parametrize("name", [name for name in VALUES if name != "document"])
@given(data=st.data())
def test_a_form_cut_short_is_corrupt(name, data):
    """A form that ends early is never taken for a shorter one."""
    form = GOLDEN[name]
    cut = data.draw(st.integers(0, len(form) - 1))

    with pytest.raises(Corrupt):
        VALUES[name][2](form[:cut])


def test_an_unknown_version_is_corrupt():
    """A form of a later version is never guessed at."""
    with pytest.raises(Corrupt, match="version 2"):
        codec.decode_document(b'{"v":2}')
    with pytest.raises(Corrupt, match="CR3"):
        codec.decode_record(b"CR3" + GOLDEN["tombstone"][3:])


def test_version_2_is_written_only_where_it_is_needed():
    """A site that knows version 1 goes on reading whatever needs no more; what it may not be sent is told."""
    assert 1 == codec.record_version(VALUES["record with blocks"][0])
    assert 2 == codec.record_version(VALUES_2["record with blocks"][0])
    assert 2 == codec.record_version(VALUES_2["record with index"][0])
    for name in ("tombstone", "record inline", "record with blocks"):
        with pytest.raises(Corrupt, match="version 2"):
            codec.decode_record(b"CR2" + GOLDEN[name][3:])


def test_a_hash_of_another_kind_is_corrupt():
    """Of a later version, or damaged: never taken for one that is known."""
    form = codec.encode_parts((MIXED,))
    at = form.index(VOUCHED.hash) - 4

    with pytest.raises(Corrupt, match="not known here"):
        codec.decode_parts(form[:at] + b"\x20" + form[at + 1 :])
    with pytest.raises(Corrupt, match="check"):
        codec.decode_parts(form[: at + 36] + b"\x01" + form[at + 37 :])


def test_a_block_too_large_for_version_2_is_no_block():
    """It would be taken for one of another hash."""
    large = replace(BLOCK, size=1 << 28)

    with pytest.raises(ValueError, match="block"):
        codec.encode_parts((replace(MIXED, blocks=(VOUCHED, large)), PART))


def test_a_tombstone_keeps_five_fields():
    """Whatever else a dead record was given is not part of it."""
    dead = Record("b1", "k", STAMP, False, 7)

    assert codec.encode_record(dead) == codec.encode_record(replace(dead, size=3, etag="e", owner="ann"))


def test_a_part_list_and_its_table_must_agree():
    """Heads that count more blocks than there are, or fewer, are refused."""
    form = codec.encode_parts((Part(1, "a", 0, "", "", ()),))
    entry = bytes(52)

    with pytest.raises(Corrupt):
        codec.decode_parts(form + entry)
    with pytest.raises(Corrupt):
        codec.decode_parts(form.replace(b",0]]", b",1]]"))


def test_a_record_stays_small():
    """A tombstone of the longest key is well under a row; ten blocks cost 520 bytes."""
    longest = codec.encode_record(Record("b", "k" * 1024, STAMP, False, 7))

    assert len(longest) < 1200
