"""The hash tree kept at a site is the one a computation from scratch gives."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import codec, hashtree
from chalicelib.domain.hashtree import DEPTH, EMPTY
from chalicelib.domain.names import key_hash
from chalicelib.objects import tree
from tests.builders import bucket, put, remove, site, stored_rows

few_keys = st.sampled_from([f"key{n}" for n in range(12)])
steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "delete", "fold"]), st.sampled_from(["one", "two"]), few_keys),
    max_size=30,
)


def from_scratch(at):
    """(bucket id, prefix) → node, from the heads alone."""
    nodes = {}
    for (table, pk, _), form in stored_rows(at).items():
        if table == "keys":
            bucket_id, hashed = pk.rsplit("/", 1)
            for prefix in hashtree.path(hashed):
                before = nodes.get((bucket_id, prefix), EMPTY)
                nodes[bucket_id, prefix] = hashtree.changed(before, None, hashtree.entry_digest(form))
    return nodes


def kept(at):
    """(bucket id, prefix) → node, as the site stores it."""
    return {
        (pk[2:], sk[1:].decode()): hashtree.decode(form)
        for (table, pk, sk), form in stored_rows(at).items()
        if table == "tree" and pk.startswith("n/")
    }


def marks(at):
    """Dirty marks that are left."""
    return [row for row in stored_rows(at) if row[0] == "tree" and row[1].startswith("dirty/")]


@pytest.mark.parametrize("shards", [1, 8])
@settings(max_examples=50)
@given(steps=steps)
def test_folding_equals_a_computation_from_scratch(shards, steps):
    """Whatever was written, deleted and folded in between, in two buckets at once."""
    west = site(shards=shards)
    buckets = {name: bucket(west, name) for name in ("one", "two")}

    for step, name, key in steps:
        if step == "fold":
            tree.fold(west)
        else:
            (put if step == "put" else remove)(west, buckets[name], key)
    tree.fold(west)

    assert from_scratch(west) == kept(west)
    assert [] == marks(west)


def test_many_keys_fold_in_batches():
    """400 keys with a small transaction limit, and again after some changed."""
    west = site(items_max=25)
    photos = bucket(west)
    for n in range(400):
        put(west, photos, str(n))

    assert 400 == tree.fold(west)
    put(west, photos, "7", b"changed")
    remove(west, photos, "8")
    assert 2 == tree.fold(west)

    assert from_scratch(west) == kept(west)
    assert 400 == tree.nodes(west, photos.id, [""])[0].keys


@pytest.mark.parametrize("items_max", [25, 100])
def test_one_key_in_each_of_many_buckets(items_max):
    """Marks that share not even a root still fit one transaction."""
    west = site(items_max=items_max)
    for n in range(40):
        put(west, bucket(west, f"bucket{n}"), "k")

    tree.fold(west)

    assert from_scratch(west) == kept(west)


def test_entries_are_in_order_and_complete():
    """Below any prefix, and below the root."""
    west = site()
    photos = bucket(west)
    hashes = sorted(key_hash(str(n)) for n in range(200))
    for n in range(200):
        put(west, photos, str(n))
    tree.fold(west)

    assert hashes == [key for key, _ in tree.entries(west, photos.id, "")]
    for prefix in ("a", "a0", hashes[5][:DEPTH], hashes[5]):
        below = [key for key in hashes if key.startswith(prefix)]
        assert below == [key for key, _ in tree.entries(west, photos.id, prefix)]


def test_an_entry_is_the_digest_of_the_head():
    """Tombstones count: a delete is something two sites can differ in."""
    west = site()
    photos = bucket(west)
    put(west, photos, "k")
    remove(west, photos, "k")
    tree.fold(west)

    ((_, digest),) = tree.entries(west, photos.id, "")

    (form,) = [form for (table, _, _), form in stored_rows(west).items() if table == "keys"]
    assert not codec.decode_record(form).live
    assert hashtree.entry_digest(form) == digest


def test_no_node_is_empty():
    """Where nothing lies the node is EMPTY."""
    west = site()

    assert [EMPTY, EMPTY] == tree.nodes(west, bucket(west).id, ["", "a"])


@pytest.mark.parametrize("shards", [1, 4])
def test_writers_beside_folders(shards):
    """Three threads write while two fold: after one more fold the tree is right."""
    west = site(shards=shards)
    photos = bucket(west)
    written = threading.Event()

    def write():
        for n in range(150):
            put(west, photos, str(n % 20), str(n).encode())

    def fold():
        while not written.is_set():
            tree.fold(west)

    with ThreadPoolExecutor(5) as pool:
        folders = [pool.submit(fold) for _ in range(2)]
        writers = [pool.submit(write) for _ in range(3)]
        for writer in writers:
            writer.result()
        written.set()
        for folder in folders:
            folder.result()
    tree.fold(west)

    assert from_scratch(west) == kept(west)
    assert [] == marks(west)


def test_a_write_between_look_and_fold_is_folded_next_time(monkeypatch):
    """A mark goes only if it still is the one that was read before the head."""
    west = site()
    photos = bucket(west)
    put(west, photos, "k", b"one")
    transact, raced = west.metadata.transact, []

    def race(writes):
        if not raced and any(write.row.pk.startswith("n/") for write in writes):
            raced.append(True)
            put(west, photos, "k", b"two")
        transact(writes)

    monkeypatch.setattr(west.metadata, "transact", race)

    tree.fold(west)

    assert raced
    assert from_scratch(west) == kept(west)
