"""Two sites, end to end, over every backend and every way to apply: what Causeway is for."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.e2e.conftest import OpenSite
from tests.e2e.linked import (
    BLOCK_SIZE,
    Line,
    body_of,
    connect,
    contents,
    error_of,
    fullsync,
    link_of,
    switch,
    wait_caught_up,
    wait_until,
)

BUCKET = "documents"
STRANGE_KEY = "a//b/../c d+%2F\u00e9\U0001f600\n/"
PART = 5 * 1024 * 1024
BLOCKS = 24  # of the object that is read before its blocks have arrived
MANY = 16

pytestmark = pytest.mark.timeout(300)  # many processes, and others beside them

CELLS = [
    pytest.param("directory", False, id="directory-http"),
    pytest.param("aws", False, id="minio-dynamodb-http"),
    pytest.param("aws", True, id="minio-dynamodb-tables"),
]


@pytest.mark.parametrize(("backend", "tables"), CELLS)
def test_two_sites(open_site: OpenSite, backend: str, tables: bool):
    """Writes at west arrive at east, are served there before their blocks, and are repaired after a cut."""
    west = open_site("west", backend)
    east = open_site("east", backend, primary="west")
    line = connect(west, east, tables=tables)
    user = west.user("Alice")
    at_west, at_east = west.boto3(user), east.boto3(user)

    _everything_replicates(line, at_west, at_east)
    _read_before_the_blocks(line, at_west, at_east)
    _cut_and_repaired(line, at_west, at_east)
    _second_fullsync_moves_nothing(line, at_west, at_east)


def _everything_replicates(line: Line, at_west: Any, at_east: Any) -> None:
    """Users, buckets and objects of every kind; a bucket made at east is decided by west, at once."""
    at_west.create_bucket(Bucket=BUCKET)
    wait_until(lambda: at_east.head_bucket(Bucket=BUCKET), "user and bucket at east")
    at_east.create_bucket(Bucket="made-at-east")
    assert at_west.head_bucket(Bucket="made-at-east")

    at_west.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    at_west.put_object(
        Bucket=BUCKET, Key=STRANGE_KEY, Body=b"small", ContentType="text/plain", Metadata={"colour": "blue"}
    )
    at_west.put_object(Bucket=BUCKET, Key="blocks", Body=os.urandom(5 * BLOCK_SIZE + 1))
    _multipart(at_west, "parts", [os.urandom(PART), os.urandom(PART), b"the end"])
    at_west.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "blocks"})
    for number in range(MANY):
        at_west.put_object(Bucket=BUCKET, Key=f"many/{number}", Body=os.urandom(number * 5000))
    at_west.delete_object(Bucket=BUCKET, Key="many/7")

    wait_caught_up(line.source, line.sink)
    assert len(contents(at_west, BUCKET)) == MANY + 4
    _assert_equal(at_west, at_east)


def _read_before_the_blocks(line: Line, at_west: Any, at_east: Any) -> None:
    """While block copying is paused, east serves the object all the same, and asks for each block once."""
    west, east = line.source, line.sink
    switch(west, east, "realtime", "pause-blocks")
    body = os.urandom(BLOCKS * BLOCK_SIZE)
    at_west.put_object(Bucket=BUCKET, Key="early", Body=body)
    wait_until(lambda: at_east.head_object(Bucket=BUCKET, Key="early"), "the record at east")
    before = link_of(east, west)["proxy_get_blocks"]

    assert body_of(at_east, BUCKET, "early") == body
    fetched = link_of(east, west)["proxy_get_blocks"] - before
    assert fetched == BLOCKS >= 20
    assert body_of(at_east, BUCKET, "early") == body
    assert link_of(east, west)["proxy_get_blocks"] - before == fetched

    owed = link_of(west, east)
    assert owed["blocks_behind"] == 1 and not owed["caught_up"], "what was proxied is still owed"
    switch(west, east, "realtime", "resume-blocks")
    wait_caught_up(west, east)


def _cut_and_repaired(line: Line, at_west: Any, at_east: Any) -> None:
    """Both sites serve through a cut; the status says so; one fullsync repairs everything."""
    west, east = line.source, line.sink
    before = contents(at_east, BUCKET)
    line.cut()
    for number in range(5):
        at_west.delete_object(Bucket=BUCKET, Key=f"many/{number}")
    _multipart(at_west, "parts", [os.urandom(PART), b"another end"])
    assert contents(at_east, BUCKET) == before
    assert error_of(lambda: at_east.create_bucket(Bucket="cannot-be-decided")) == "ServiceUnavailable"
    down = wait_until(lambda: not (link := link_of(west, east))["up"] and link, "the status shows the cut")
    assert down["records_behind"] == 6 and down["lag_ms"] > 0 and down["error"] and not down["caught_up"]

    # Realtime is stopped, so that what was written from now on can only come by fullsync.
    switch(west, east, "realtime", "stop")
    for number in range(MANY // 2, MANY):
        at_west.put_object(Bucket=BUCKET, Key=f"many/{number}", Body=os.urandom(number * 5000))
        at_west.put_object(Bucket=BUCKET, Key=f"during-the-cut/{number}", Body=os.urandom(number * 5000))
    line.heal()
    run = fullsync(west, east)
    assert run["state"] == "complete", run
    assert run["tally"]["applied"] >= MANY
    _assert_equal(at_west, at_east)
    behind = link_of(west, east)
    assert behind["up"] and behind["records_behind"] >= MANY, "what was owed stays owed until it is confirmed"

    switch(west, east, "realtime", "start")
    wait_caught_up(west, east)
    _assert_equal(at_west, at_east)


def _second_fullsync_moves_nothing(line: Line, at_west: Any, at_east: Any) -> None:
    """Nothing differs, so one root a bucket is all that is read."""
    fullsync(line.source, line.sink)
    run = fullsync(line.source, line.sink)
    assert run["state"] == "complete", run
    tally = {name: count for name, count in run["tally"].items() if count}
    assert tally == {"buckets": 2, "compared": 2, "nodes": 2}
    _assert_equal(at_west, at_east)


def _multipart(client: Any, key: str, bodies: list[bytes]) -> None:
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key, Metadata={"made": "in parts"})["UploadId"]
    named = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
    parts = [
        {"PartNumber": number, "ETag": client.upload_part(PartNumber=number, Body=body, **named)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)


def _assert_equal(at_west: Any, at_east: Any) -> None:
    """Every key, byte (SHA-256), ETag and metadata, as S3 clients read them at both."""
    assert contents(at_east, BUCKET) == contents(at_west, BUCKET)
