"""Names: what may be called a bucket or a site, and what stands for a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.names import bucket_name_problem, check_site, key_hash, shard_of
from tests.domain.values import object_keys

GOOD = [
    "abc",
    "a1b",
    "0ab",
    "my-bucket",
    "my.bucket.org",
    "a" * 63,
    "1.2.3",
    "256.1.1.1.1",
    "xn-a",
    "healthy",
]
BAD = {
    "": "3 to 63",
    "ab": "3 to 63",
    "a" * 64: "3 to 63",
    "Abc": "3 to 63",
    "a_b": "3 to 63",
    "-ab": "3 to 63",
    "ab-": "3 to 63",
    ".ab": "3 to 63",
    "ab.": "3 to 63",
    "äbc": "3 to 63",
    "abc\n": "3 to 63",
    "a/b": "3 to 63",
    "a..b": "dots",
    "a.-b": "dots",
    "a-.b": "dots",
    "192.168.5.4": "IP address",
    "999.1.1.1": "IP address",
    "xn--abc": "reserved",
    "sthree-abc": "reserved",
    "amzn-s3-demo-abc": "reserved",
    "abc-s3alias": "reserved",
    "abc--ol-s3": "reserved",
    "abc.mrap": "reserved",
    "abc--x-s3": "reserved",
    "abc--table-s3": "reserved",
    "causeway": "reserved",
    "health": "reserved",
    "metrics": "reserved",
    "admin": "reserved",
}


@pytest.mark.parametrize("name", GOOD)
def test_good_bucket_names(name):
    """S3's rules let these through."""
    assert bucket_name_problem(name) is None


@pytest.mark.parametrize("name", BAD)
def test_bad_bucket_names(name):
    """Each is refused with the rule it breaks."""
    assert BAD[name] in bucket_name_problem(name)


@pytest.mark.parametrize("site", ["a", "west", "eu-west-1", "a" * 32])
def test_good_sites(site):
    """A site id is short and can stand in a stamp."""
    assert site == check_site(site)


@pytest.mark.parametrize("site", ["", "West", "1west", "-west", "west_1", "a" * 33, "west\n", "wést"])
def test_bad_sites(site):
    """Anything else is refused in words."""
    with pytest.raises(ValueError, match="lower-case"):
        check_site(site)


def test_a_key_hash_never_changes():
    """What is stored under a hash today is found tomorrow."""
    assert "eddf80d32d66f656622b1c9806afd702" == key_hash("photos/cat.jpg")


@given(object_keys)
def test_a_key_hash_is_32_hex_digits(key):
    """Any key, of any script, has one."""
    assert 32 == len(key_hash(key))
    assert 16 == len(bytes.fromhex(key_hash(key)))


@given(object_keys, st.integers(1, 64))
def test_a_shard_is_one_of_those_there_are(key, shards):
    """Every key lies in exactly one of the shards."""
    assert 0 <= shard_of(key_hash(key), shards) < shards


def test_keys_are_not_normalised():
    """Two spellings of é are two keys, as S3 has it."""
    assert key_hash("caf\u00e9") != key_hash("cafe\u0301")
