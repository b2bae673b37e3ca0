"""An object whose blocks never passed through its site, at another site: `causeway cp` both ways, over MinIO.

In turn: read at the sink before its blocks are there, through the sink, which keeps them; read by URL once
they are; a block damaged at rest at the sink comes anew from the source; a fullsync finds nothing to do.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.command import run
from tests.e2e.conftest import OpenSite
from tests.e2e.linked import connect, fullsync, switch, wait_caught_up, wait_until

MIB = 1 << 20
BODY = os.urandom(40 * MIB + 5)
BLOCKS = 41
BUCKET, KEY = "films", "a b/film.mkv"

pytestmark = pytest.mark.timeout(300)  # many processes, and others beside them


def cp(site, source, target):
    """One copy, with the keys of `site`'s administrator; what it says."""
    ran = run("cp", source, target, "--data", site.data, "--json")
    assert (0, "") == (ran.exit, ran.err), ran.out
    return ran.json


def test_direct_uploads_replicate(open_site: OpenSite, tmp_path: Path):
    """The whole way; every read is compared with the bytes that were written."""
    west = open_site("west", "aws", block_size="1MiB")
    east = open_site("east", "aws", primary="west", block_size="1MiB")
    connect(west, east)
    source, back = tmp_path / "film.mkv", tmp_path / "back.mkv"
    source.write_bytes(BODY)
    west.boto3().create_bucket(Bucket=BUCKET)
    wait_until(lambda: east.boto3().head_bucket(Bucket=BUCKET), "the bucket at east")
    switch(west, east, "realtime", "pause-blocks")

    sent = cp(west, source, f"s3://{BUCKET}/{KEY}")
    assert (True, BLOCKS, len(BODY)) == (sent["direct"], sent["blocks"], sent["bytes"])
    head = wait_until(lambda: east.boto3().head_object(Bucket=BUCKET, Key=KEY), "the record at east")
    assert (f'"{sent["etag"]}"', len(BODY)) == (head["ETag"], head["ContentLength"])

    assert [] == east.blocks.names()
    through = cp(east, f"s3://{BUCKET}/{KEY}", back)
    assert BODY == back.read_bytes()
    assert (0, BLOCKS) == (through["blocks"], through["ranges"])
    switch(west, east, "realtime", "resume-blocks")
    wait_caught_up(west, east)

    straight = cp(east, f"s3://{BUCKET}/{KEY}", back)
    assert BODY == back.read_bytes()
    assert (BLOCKS, 0) == (straight["blocks"], straight["ranges"])

    victim = next(name for name in east.blocks.names() if not name.split("/")[1].startswith("index-"))
    damaged = bytearray(east.blocks.read(victim))
    damaged[7] ^= 1
    east.blocks.write(victim, bytes(damaged))
    assert digest_of(east) == digest_of(west) == hashlib.sha256(BODY).hexdigest()
    assert bytes(damaged) != east.blocks.read(victim)  # healed from west, and kept

    again = fullsync(west, east)
    assert ("complete", 0) == (again["state"], again["tally"]["sent"])


def digest_of(site):
    """By an ordinary GET."""
    body = site.boto3().get_object(Bucket=BUCKET, Key=KEY)["Body"]
    return hashlib.file_digest(body, "sha256").hexdigest()
