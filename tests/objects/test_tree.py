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


def busy(at, into, monkeypatch, each, ms=0, spread=500):
    """While a batch is folded, `each` writes of other keys come, and `ms` pass."""
    real, written = tree._fold_batch, []

    def fold_batch(*asked):
        at.clock.advance(ms)
        for _ in range(each):
            assert len(written) < 20_000, "it never ends"
            put(at, into, f"new{len(written) % spread}")
            written.append(True)
        return real(*asked)

    monkeypatch.setattr(tree, "_fold_batch", fold_batch)
    return written


def stamps_of_marks(at):
    """Sort key → value of every dirty mark."""
    return {
        (pk, sk): form
        for (table, pk, sk), form in stored_rows(at).items()
        if table == "tree" and pk.startswith("dirty/")
    }


@pytest.mark.parametrize("shards", [1, 8])
def test_a_fold_ends_though_writes_come_faster(shards, monkeypatch):
    """Ten for each seven that are folded: what was there before is folded all the same."""
    west = site(shards=shards, items_max=50)
    photos = bucket(west)
    for n in range(200):
        put(west, photos, f"old{n}")
    before = stamps_of_marks(west)
    busy(west, photos, monkeypatch, each=10)

    assert tree.fold(west) >= 200

    assert before.items().isdisjoint(stamps_of_marks(west).items())


@pytest.mark.parametrize("shards", [1, 8])
def test_a_pass_goes_on_where_it_stopped(shards, monkeypatch):
    """Call by call with time for a batch, ten writes for each seven that are folded: it ends, and misses
    nothing that was there at the first call."""
    west = site(shards=shards, items_max=50)
    photos = bucket(west)
    for n in range(200):
        put(west, photos, f"old{n}")
    before = stamps_of_marks(west)
    busy(west, photos, monkeypatch, each=10, ms=40)

    calls = 1
    while not tree.fold_for(west, "from/east", "run", west.clock.now_ms() + 40):
        calls += 1

    assert 30 < calls < 400
    assert before.items().isdisjoint(stamps_of_marks(west).items())
    assert not [row for row in stored_rows(west) if row[:2] == ("tree", "pass")]


called = st.lists(
    st.tuples(st.sampled_from(["put", "put", "delete", "fold", "east", "east", "north"]), few_keys),
    max_size=40,
)


@pytest.mark.parametrize("shards", [1, 8])
@settings(max_examples=60)
@given(before=steps, meanwhile=called)
def test_a_pass_misses_nothing(shards, before, meanwhile):
    """Whatever is written, folded and passed over beside it: what it leaves was committed after it began."""
    west = site(shards=shards, items_max=10)
    one = bucket(west, "one")
    for step, _, key in before:
        if step != "fold":
            (put if step == "put" else remove)(west, one, key)
    old = stamps_of_marks(west)

    for step, key in [*meanwhile, *[("east", "")] * 60]:
        if step == "fold":
            tree.fold(west)
        elif step in ("east", "north"):  # each has time for one batch
            real = west.clock.now_ms
            times = iter([0, 1])
            west.clock.now_ms = lambda times=times: next(times, 1)
            try:
                through = tree.fold_for(west, step, "run", 1)
            finally:
                west.clock.now_ms = real
            if through and step == "east":
                break
        else:
            (put if step == "put" else remove)(west, one, key)

    assert through
    assert old.items().isdisjoint(stamps_of_marks(west).items())
    tree.fold(west)
    assert from_scratch(west) == kept(west)


def test_a_further_run_begins_a_pass_of_its_own():
    """What was committed since the run before began is no further behind than the place that one reached."""
    west = site(shards=8)
    photos = bucket(west)
    for n in range(100):
        put(west, photos, str(n))
    west.clock.now_ms, real = iter([0, 0, 0, 0, 9, 9]).__next__, west.clock.now_ms
    assert not tree.fold_for(west, "from/east", "one", 1)
    west.clock.now_ms = real
    for n in range(100):
        put(west, photos, str(n), b"changed")

    assert tree.fold_for(west, "from/east", "two", west.clock.now_ms() + 1)

    assert [] == marks(west)


def test_folds_that_have_no_time_for_all_begin_at_each_shard_in_turn(monkeypatch):
    """As each minute's sweep does where writes come faster than it folds: no shard waits for ever."""
    west = site(shards=8, items_max=50)
    photos = bucket(west)
    for n in range(200):
        put(west, photos, f"old{n}")
    before = stamps_of_marks(west)
    busy(west, photos, monkeypatch, each=10, ms=40)

    for _ in range(8):
        began_ms = west.clock.now_ms()
        tree.fold(west, began_ms + 800)  # 140 marks
        west.clock.ms = began_ms + 60_000

    assert before.items().isdisjoint(stamps_of_marks(west).items())


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


def test_a_pass_that_loses_a_race_leaves_nothing_behind(monkeypatch):
    """A writer comes between, again and again: what is behind its key is folded in the same pass."""
    west = site(items_max=100)
    photos = bucket(west)
    for n in range(60):
        put(west, photos, f"k{n}")
    transact, raced = west.metadata.transact, []

    def race(writes):
        if len(raced) < 10 and any(write.row.pk.startswith("n/") for write in writes):
            raced.append(True)
            put(west, photos, f"k{len(raced) % 4}", b"changed")
        transact(writes)

    before = stamps_of_marks(west)
    monkeypatch.setattr(west.metadata, "transact", race)

    assert tree.fold_for(west, "from/east", "run", west.clock.now_ms() + 1)

    assert before.items().isdisjoint(stamps_of_marks(west).items())
    assert len(stamps_of_marks(west)) <= 4
    tree.fold(west)
    assert from_scratch(west) == kept(west)


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
