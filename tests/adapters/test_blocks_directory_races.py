"""Blocks in a directory while others write, remove and die."""

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from chalicelib.adapters.filesystem import DirectoryBlocks, durable
from chalicelib.domain.errors import Unavailable
from tests.conformance.blocks import block_id, ref

ROOT = Path(__file__).parent.parent.parent
UPLOAD = block_id().upload
KILLS = 12

WRITER = """
import sys
from pathlib import Path
from threading import Thread
from chalicelib.adapters.filesystem import DirectoryBlocks
from chalicelib.domain.manifest import BlockId
blocks = DirectoryBlocks(Path(sys.argv[1]), 0)
blocks.sweep()
def write(attempt):
    for number in range(1_000_000):
        upload = f"{sys.argv[2]}-{number // 3}"
        body = f"{upload}/{attempt}/{number} ".encode() * (1 + 9973 * number % 60_000)
        blocks.put(BlockId(upload, attempt, number), body)
        sys.stdout.write(f"{upload} {attempt} {number} {len(body)}\\n")
        sys.stdout.flush()
for attempt in ("a", "b", "c"):
    Thread(target=write, args=(attempt,)).start()
"""


@pytest.fixture
def fatal():
    """The problems the host was told to die of."""
    return []


@pytest.fixture
def blocks(tmp_path, fatal):
    """A store whose host notes that it should exit."""
    return DirectoryBlocks(tmp_path / "site", 0, fatal.append)


def test_putting_while_the_upload_is_removed(blocks):
    """Writers and a remover of one upload meet without an error nobody expects."""

    def write(attempt):
        for number in range(60):
            with suppress(Unavailable):  # allowed: it did not happen
                blocks.put(block_id(attempt=attempt, number=number), b"x")

    def remove():
        for _ in range(60):
            with suppress(Unavailable):
                blocks.delete_upload(UPLOAD)

    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(write, attempt) for attempt in "abc"] + [pool.submit(remove)]

    assert [None] * 4 == [task.exception() for task in tasks]
    blocks.delete_upload(UPLOAD)
    assert [] == list(blocks.list_upload(UPLOAD))


def test_forgetting_directories_costs_only_syncs(blocks, monkeypatch):
    """The memory of synced directories is bounded."""
    monkeypatch.setattr(durable, "ANCHORED_MAX", 2)

    for number in range(6):
        blocks.put(block_id(f"up{number}"), b"x")

    assert 6 == len(list(blocks.uploads()))


def test_killed_at_any_moment(tmp_path):
    """kill -9, again and again: acknowledged blocks are whole, and no other block is ever half there."""
    chance = random.Random(20240229)
    acknowledged = []
    for life in range(KILLS):
        acknowledged += _killed(tmp_path, life, chance.uniform(0.0, 0.12))
    blocks = DirectoryBlocks(tmp_path, 0)

    sizes = {}
    for upload in blocks.uploads():
        for name, size in blocks.list_upload(upload):
            body = blocks.get(ref(name))
            line = f"{name.upload}/{name.attempt}/{name.number} ".encode()
            assert line * (1 + 9973 * name.number % 60_000) == body
            sizes[name.upload, name.attempt, str(name.number)] = str(size)
    blocks.sweep()

    assert len(acknowledged) > KILLS
    assert [] == [line for *name, size in acknowledged if sizes.get(tuple(name)) != size for line in name]
    assert [] == list((tmp_path / "tmp").iterdir())


def _killed(root, life, seconds):
    """What a writer acknowledged before it was killed `seconds` after its first block."""
    command = [sys.executable, "-c", WRITER, str(root), f"life{life}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        first = writer.stdout.readline()
        killer = threading.Timer(seconds, writer.kill)
        killer.start()
        told = first + writer.stdout.read()
    lines = told.split("\n")[:-1]  # what follows the last newline was cut short
    return [line.split() for line in lines]
