"""LIST against a model: the sorted keys of a dict, rolled up by hand."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.objects import listed
from chalicelib.objects.list import KEYS_MAX, is_empty, successor
from tests.builders import bucket, listing, put, remove, site

SHARDS = [1, 8]
# Few letters, the delimiters among them, and the ends of the code point range.
letters = st.sampled_from(["a", "b", "/", "/", "-", "ü", "\x01", "\U0010ffff"])
some_keys = st.text(letters, min_size=1, max_size=6)
prefixes = st.text(letters, max_size=3)
delimiters = st.sampled_from(["", "/", "-", "a/", "//"])


def model(keys, prefix, delimiter, after=""):
    """What S3 shows, in order: keys, and common prefixes marked by None behind them."""
    shown = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = (key, "key") if cut < 0 else (key[: cut + len(delimiter)], "prefix")
        if key.encode() > after.encode() and entry not in shown:
            shown.append(entry)
    return shown


def filled(keys, shards):
    """A bucket with these keys."""
    west = site(shards=shards)
    photos = bucket(west)
    for key in keys:
        put(west, photos, key, b"")
    return west, photos


def walk(west, photos, prefix, delimiter, sizes):
    """Every entry of every page, with pages of the given sizes in turn."""
    shown, after, turn = [], "", 0
    while True:
        size = sizes[turn % len(sizes)]
        page = listing(west, photos.id, prefix=prefix, delimiter=delimiter, after=after, max_keys=size)
        entries = [(row.key, "key") for row in page.keys] + [(p, "prefix") for p in page.prefixes]
        assert len(entries) <= size
        assert len(entries) == size or not page.truncated
        shown += sorted(entries, key=lambda entry: entry[0].encode())
        if not page.truncated:
            return shown
        after, turn = page.last, turn + 1


@pytest.mark.parametrize("shards", SHARDS)
@settings(max_examples=60)
@given(
    keys=st.sets(some_keys, max_size=20),
    prefix=prefixes,
    delimiter=delimiters,
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=3),
)
@example(keys={"a/", "a/b", "a/b/c", "a0"}, prefix="a/", delimiter="/", sizes=[1])
@example(keys={"a//b", "a/b"}, prefix="", delimiter="//", sizes=[1])
@example(keys={"a\U0010ffff", "a\U0010ffff/b", "b"}, prefix="a\U0010ffff", delimiter="/", sizes=[1])
def test_all_pages_show_every_key_once(shards, keys, prefix, delimiter, sizes):
    """Pages of any sizes, one after another, show what the model shows: nothing twice, nothing left out."""
    west, photos = filled(keys, shards)

    assert model(keys, prefix, delimiter) == walk(west, photos, prefix, delimiter, sizes)


@pytest.mark.parametrize("shards", SHARDS)
@settings(max_examples=60)
@given(keys=st.sets(some_keys, max_size=12), prefix=prefixes, after=some_keys)
def test_starting_after_any_key(shards, keys, prefix, after):
    """Without a delimiter a page starts behind any marker, whether or not that key exists."""
    west, photos = filled(keys, shards)

    page = listing(west, photos.id, prefix=prefix, after=after)

    assert model(keys, prefix, "", after) == [(row.key, "key") for row in page.keys]


def test_a_marker_inside_a_common_prefix():
    """Keys behind the marker still roll up into the prefix the marker lies in."""
    west, photos = filled(["a/1", "a/3", "b"], 1)

    page = listing(west, photos.id, delimiter="/", after="a/2")

    assert (["a/"], ["b"]) == (page.prefixes, [row.key for row in page.keys])


def test_a_common_prefix_as_marker_is_behind_all_of_it():
    """A page that ended with a prefix goes on behind every key below it."""
    west, photos = filled(["a/1", "a/2", "b"], 8)

    page = listing(west, photos.id, delimiter="/", after="a/")

    assert ([], ["b"]) == (page.prefixes, [row.key for row in page.keys])


@pytest.mark.parametrize("shards", SHARDS)
def test_a_full_page(shards):
    """1,005 keys: 1,000 and 5, and the first page says there is more."""
    west, photos = filled([f"{n:04}" for n in range(1005)], shards)

    first = listing(west, photos.id)
    second = listing(west, photos.id, after=first.last)

    assert (KEYS_MAX, True, "0999") == (len(first.keys), first.truncated, first.last)
    assert (5, False) == (len(second.keys), second.truncated)


def test_a_page_of_nothing():
    """max-keys 0 shows nothing and says so."""
    west, photos = filled(["a"], 1)

    page = listing(west, photos.id, max_keys=0)

    assert ([], [], False) == (page.keys, page.prefixes, page.truncated)


@pytest.mark.parametrize("shards", SHARDS)
def test_what_is_rolled_up_is_not_read(shards, monkeypatch):
    """Two prefixes of 500 keys each cost at most one query per shard and entry, never the 1,000 rows."""
    west, photos = filled([f"{letter}/{n}" for letter in "ab" for n in range(500)], shards)
    queries, rows = [], []
    scan = type(west.metadata).scan

    def counted(self, *args, **kwargs):
        page = scan(self, *args, **kwargs)
        queries.append(args)
        rows.extend(page)
        return page

    monkeypatch.setattr(type(west.metadata), "scan", counted)

    page = listing(west, photos.id, delimiter="/")

    assert ["a/", "b/"] == page.prefixes
    assert len(queries) <= shards * (1 + 2)
    assert len(rows) <= 200 * shards


def test_a_row_says_what_list_shows():
    """Size, time, ETag and owner come from the listing alone; a deleted key has no row."""
    west, photos = filled([], 1)
    record = put(west, photos, "k", b"hello")
    put(west, photos, "gone")
    remove(west, photos, "gone")

    (row,) = listing(west, photos.id).keys

    assert ("k", 5, record.modified_ms, record.etag, "ann") == row[:5]
    assert row == listed.decode(b"k", listed.encode(record))


@given(some_keys, some_keys)
def test_successor(prefix, key):
    """Everything that starts with a prefix lies before its successor, everything greater does not."""
    behind = successor(prefix.encode())

    assert (prefix.encode() <= key.encode() < behind) == key.encode().startswith(prefix.encode())


def test_is_empty():
    """A visible key keeps a bucket; a tombstone does not."""
    west, photos = filled(["a"], 8)
    assert not is_empty(west, photos.id)

    remove(west, photos, "a")

    assert is_empty(west, photos.id)
