"""More than one line of two sites: both ways, a chain of three, TLS, and many readers of one block."""

from __future__ import annotations

import os
import random
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.conftest import OpenSite
from tests.e2e.linked import (
    BLOCK_SIZE,
    body_of,
    connect,
    contents,
    fullsync,
    link_of,
    switch,
    wait_caught_up,
    wait_until,
)
from tests.site_process import SiteProcess

pytestmark = pytest.mark.timeout(300)  # many processes, and others beside them

BUCKET = "shared"
KEYS = 16
WRITES = 60  # of each of four writers
BLOCKS = 24
READERS = 50


def test_both_ways_converge(open_site: OpenSite):
    """Sites linked both ways that are written at the same time end equal, and a fullsync moves nothing."""
    west = open_site("west")
    east = open_site("east", primary="west")
    line = connect(west, east, both_ways=True)
    keys = west.user()
    at_west, at_east = west.boto3(keys), east.boto3(keys)
    at_west.create_bucket(Bucket=BUCKET)
    wait_until(lambda: at_east.head_bucket(Bucket=BUCKET))

    with ThreadPoolExecutor(4) as pool:
        clients = [at_west, at_east, at_west, at_east]
        written = [pool.submit(_write, client, seed) for seed, client in enumerate(clients)]
        wait_until(lambda: link_of(west, east)["records_sent"] > 20)
        line.cut()  # so that both go on by themselves for a while
        wait_until(lambda: all(each.done() for each in written))
        assert [each.result() for each in written] == [WRITES] * 4
    line.heal()

    wait_caught_up(west, east)
    wait_caught_up(east, west)
    assert contents(at_west, BUCKET) == contents(at_east, BUCKET) != {}
    for source, sink in ((west, east), (east, west)):
        tally = fullsync(source, sink)["tally"]
        assert tally["compared"] == tally["nodes"] == 1 and not tally["sent"] + tally["bytes"]


def _write(client: Any, seed: int) -> int:
    """Puts of all sizes, copies and deletes on the same few keys."""
    rng = random.Random(seed)
    for count in range(WRITES):
        key = f"key {rng.randrange(KEYS)}"
        if rng.random() < 0.2:
            client.delete_object(Bucket=BUCKET, Key=key)
        else:
            body = rng.randbytes(rng.choice([10, 5000, 100_000, 300_000]))
            client.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"by": f"{seed}-{count}"})
    return WRITES


def test_chain_of_three(open_site: OpenSite):
    """From a to c by way of b: records and blocks go on, and c is served by a before b has the blocks."""
    a = open_site("a")
    b = open_site("b", primary="a")
    c = open_site("c", primary="a")
    connect(a, b)
    connect(b, c)
    keys = a.user()
    at_a, at_c = a.boto3(keys), c.boto3(keys)
    at_a.create_bucket(Bucket=BUCKET)
    at_a.put_object(Bucket=BUCKET, Key="first", Body=os.urandom(3 * BLOCK_SIZE))
    wait_caught_up(a, b)
    wait_caught_up(b, c)
    assert contents(at_c, BUCKET) == contents(at_a, BUCKET)

    switch(a, b, "realtime", "pause-blocks")
    switch(b, c, "realtime", "pause-blocks")
    body = os.urandom(BLOCKS * BLOCK_SIZE)
    at_a.put_object(Bucket=BUCKET, Key="early", Body=body)
    wait_until(lambda: at_c.head_object(Bucket=BUCKET, Key="early"), "the record at c")
    assert body_of(at_c, BUCKET, "early") == body
    assert link_of(b, a)["proxy_get_blocks"] == BLOCKS, "c has no link to a: it asked b, and b asked a"

    assert link_of(c, b)["proxy_get_blocks"] == BLOCKS
    assert body_of(at_c, BUCKET, "early") == body
    assert body_of(b.boto3(keys), BUCKET, "early") == body
    assert link_of(c, b)["proxy_get_blocks"] == link_of(b, a)["proxy_get_blocks"] == BLOCKS, "both kept them"

    sent = link_of(a, b)["blocks_sent"]
    switch(a, b, "realtime", "resume-blocks")
    switch(b, c, "realtime", "resume-blocks")
    at_a.delete_object(Bucket=BUCKET, Key="first")
    wait_caught_up(a, b)
    wait_caught_up(b, c)
    assert contents(at_c, BUCKET) == contents(at_a, BUCKET)
    assert list(contents(at_c, BUCKET)) == ["early"]
    assert link_of(a, b)["blocks_sent"] == sent, "nothing crosses the line twice"


def test_tls(open_site: OpenSite, tmp_path: Path):
    """Over https with a CA of their own, sites replicate; a site that another CA vouches for is refused."""
    ours, another = Authority(tmp_path, "ours"), Authority(tmp_path, "another")
    west = open_site("west", **_tls(ours, "west"))
    east = open_site("east", primary="west", **_tls(ours, "east"))
    stranger = open_site("stranger", primary="west", **_tls(another, "stranger"))
    connect(west, east)
    keys = west.user()
    at_west, at_east = west.boto3(keys), east.boto3(keys)
    at_west.create_bucket(Bucket=BUCKET)
    body = os.urandom(5 * BLOCK_SIZE)
    at_west.put_object(Bucket=BUCKET, Key="secret", Body=body)
    wait_until(lambda: body_of(at_east, BUCKET, "secret") == body)
    assert at_west.meta.endpoint_url.startswith("https://")

    with pytest.raises(urllib.error.HTTPError) as refused:
        connect(west, stranger)
    assert refused.value.code == 503 and b"certificate" in refused.value.read().lower()
    assert [link["site"] for link in west.admin("GET", "links")["links"]] == ["east"], "not proved, not saved"


def _tls(authority: Authority, name: str) -> dict[str, object]:
    cert, key = authority.issue(name)
    return {"tls_cert": cert, "tls_key": key, "ca_file": authority.file}


def test_one_transfer_for_many_readers(open_site: OpenSite):
    """50 readers of one missing block, at both worker processes of the sink, cost one transfer."""
    west = open_site("west")
    east = open_site("east", primary="west")
    connect(west, east)
    keys = west.user()
    at_west = west.boto3(keys)
    at_west.create_bucket(Bucket=BUCKET)
    wait_caught_up(west, east)
    switch(west, east, "realtime", "pause-blocks")
    body = os.urandom(BLOCK_SIZE)
    at_west.put_object(Bucket=BUCKET, Key="one block", Body=body)
    clients = [_ready_client(east, keys) for _ in range(READERS)]
    wait_until(lambda: clients[0].head_object(Bucket=BUCKET, Key="one block"))

    with ThreadPoolExecutor(READERS) as pool:
        bodies = list(pool.map(lambda client: body_of(client, BUCKET, "one block"), clients))
    assert bodies == [body] * READERS
    assert link_of(east, west)["proxy_get_blocks"] == 1


def _ready_client(site: SiteProcess, keys: tuple[str, str]) -> Any:
    """A client with an open connection of its own, so that all readers come at once."""
    client = site.boto3(keys, max_pool_connections=1)
    wait_until(lambda: client.head_bucket(Bucket=BUCKET))
    return client
