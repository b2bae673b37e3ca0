"""Stores that lose or change bytes under a site that stands alone; and what GC leaves of a mixed load."""

import os
import socket
import time
from contextlib import ExitStack

import pytest

from chalicelib import bootstrap
from chalicelib.domain.manifest import index_refs, part_refs
from chalicelib.objects import accounts, bodies, get
from chalicelib.objects import list as listing
from chalicelib.settings import Settings
from tests.clients import raw
from tests.clients.conftest import new_bucket
from tests.site_process import aws_site, directory_site

BLOCK = 1 << 20
BODY = os.urandom(5 * BLOCK + 77)
LEEWAY_S = 1.0
DAMAGE = {
    "flipped byte": lambda body: body[:33] + bytes([body[33] ^ 4]) + body[34:],
    "truncated": lambda body: body[:-1],
    "empty": lambda body: b"",
    "longer": lambda body: body + b"!",
    "missing": None,
}


@pytest.fixture(scope="module", params=["directory", "aws"])
def site(request, tmp_path_factory):
    """A site of this module's own: it is damaged, its blocks are small and its leeway short."""
    place = tmp_path_factory.mktemp("damaged")
    settings = {"block_size": BLOCK, "leeway": f"{LEEWAY_S:.0f}s"}
    with ExitStack() as started:
        if request.param == "aws":
            services = (request.getfixturevalue(name) for name in ("minio", "dynamodb"))
            yield started.enter_context(aws_site(place, *services, **settings))
        else:
            yield started.enter_context(directory_site(place, **settings))


@pytest.fixture
def stored(site, s3):
    """(bucket, its block names in order) with BODY under `k`."""
    bucket = new_bucket(s3)
    before = set(site.blocks.names())
    s3.put_object(Bucket=bucket, Key="k", Body=BODY)
    names = sorted(set(site.blocks.names()) - before, key=lambda name: int(name.rpartition("/")[2]))
    assert len(names) == 6
    yield bucket, names
    s3.delete_object(Bucket=bucket, Key="k")


def damage(site, name, what):
    change = DAMAGE[what]
    if change is None:
        site.blocks.remove(name)
    else:
        site.blocks.write(name, change(site.blocks.read(name)))


def get_object(site, bucket, first=None, last=None):
    headers = {} if first is None else {"range": f"bytes={first}-{last}"}
    return raw.send(site, "GET", f"/{bucket}/k", headers=headers)


@pytest.mark.parametrize("what", DAMAGE)
def test_a_lost_first_block_is_a_503_before_the_headers(site, stored, what):
    """No byte of a damaged block goes out; ranges that need no damaged block are served."""
    bucket, names = stored
    damage(site, names[0], what)

    told = get_object(site, bucket)
    assert (told.status, told.code) == (503, "ServiceUnavailable")
    assert get_object(site, bucket, 5, 9).status == 503
    good = get_object(site, bucket, BLOCK, len(BODY) - 1)
    assert (good.status, good.cut, good.body) == (206, False, BODY[BLOCK:])
    assert raw.send(site, "HEAD", f"/{bucket}/k").status == 200
    copy = {"x-amz-copy-source": f"/{bucket}/k", "x-amz-checksum-algorithm": "SHA1"}
    assert raw.send(site, "PUT", f"/{bucket}/copy", headers=copy).status == 503


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_lost_later_block_cuts_the_connection_short(site, stored, what, number):
    """200 with the whole Content-Length, a prefix of the true bytes, and the end of the connection."""
    bucket, names = stored
    damage(site, names[number], what)

    told = get_object(site, bucket)
    assert (told.status, told.headers["content-length"]) == (200, str(len(BODY)))
    assert told.cut
    assert len(told.body) <= number * BLOCK
    assert BODY.startswith(told.body)
    assert get_object(site, bucket, number * BLOCK, number * BLOCK).status == 503
    good = get_object(site, bucket, 0, number * BLOCK - 1)
    assert (good.status, good.body) == (206, BODY[: number * BLOCK])


def test_a_new_put_heals_the_key(site, s3, stored):
    """The damaged object can be replaced, and deleted."""
    bucket, names = stored
    damage(site, names[0], "flipped byte")
    s3.put_object(Bucket=bucket, Key="k", Body=BODY)
    assert get_object(site, bucket).body == BODY
    damage(site, sorted(set(site.blocks.names()) - set(names))[0], "missing")
    s3.delete_object(Bucket=bucket, Key="k")
    assert get_object(site, bucket).status == 404


# ------------------------------------------------------------------------------- GC


def named_blocks(site, monkeypatch):
    """The blocks that live records name, read from the tables by the code itself."""
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    wired = bootstrap.build_worker(Settings.from_environment(site.environment))
    names = []
    try:
        inside = wired.node.site
        for bucket in accounts.named_buckets(inside):
            after, page = "", None
            while page is None or page.truncated:
                page = listing.list_objects(
                    inside, bucket.id, prefix="", delimiter="", after=after, max_keys=1000
                )
                after = page.last
                for row in page.keys:
                    record = get.head(inside, bucket.id, row.key)
                    refs = [*index_refs(record), *part_refs(record, bodies.parts_of(inside, record))]
                    names += [f"{ref.id.upload}/{ref.id.attempt}/{ref.id.number}" for ref in refs]
    finally:
        wired.close()
    return sorted(names)


def mixed_load(site, s3, bucket):
    """Every way to leave blocks behind, beside some that must stay; returns what must stay."""
    put = {"Bucket": bucket, "Key": "overwritten"}
    for n in range(4):
        s3.put_object(**put, Body=BODY[n:])
    s3.put_object(Bucket=bucket, Key="deleted", Body=BODY)
    s3.delete_object(Bucket=bucket, Key="deleted")
    s3.put_object(Bucket=bucket, Key="source", Body=BODY)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "source"})
    s3.delete_object(Bucket=bucket, Key="source")
    same = {"Bucket": bucket, "Key": "copy"}
    s3.copy_object(**same, CopySource=same, MetadataDirective="REPLACE", Metadata={"n": "1"})

    at = {"Bucket": bucket, "Key": "parts"}
    at["UploadId"] = s3.create_multipart_upload(**at)["UploadId"]
    s3.upload_part(**at, PartNumber=1, Body=BODY[5:])  # sent again below
    s3.upload_part(**at, PartNumber=9, Body=BODY)  # not named by Complete
    etag = s3.upload_part(**at, PartNumber=1, Body=BODY)["ETag"]
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    aborted = {"Bucket": bucket, "Key": "aborted"}
    aborted["UploadId"] = s3.create_multipart_upload(**aborted)["UploadId"]
    s3.upload_part(**aborted, PartNumber=1, Body=BODY)
    s3.abort_multipart_upload(**aborted)
    forgotten = {"Bucket": bucket, "Key": "forgotten"}
    forgotten["UploadId"] = s3.create_multipart_upload(**forgotten)["UploadId"]
    s3.upload_part(**forgotten, PartNumber=1, Body=BODY)

    request = raw.signed(site, "PUT", f"/{bucket}/broken", body=BODY)
    with socket.create_connection(site.address, 10) as client:
        client.sendall(request.head + request.body[: 3 * BLOCK])
    s3.put_object(Bucket=bucket, Key="inline", Body=b"small")
    return {"overwritten": BODY[3:], "copy": BODY, "parts": BODY, "inline": b"small"}


def test_after_leeway_and_gc_the_blocks_are_those_of_live_records(site, s3, monkeypatch):
    """Overwritten, deleted, aborted, forgotten, superseded and broken uploads go; all else stays readable."""
    bucket = new_bucket(s3)
    kept = mixed_load(site, s3, bucket)
    assert set(named_blocks(site, monkeypatch)) < set(site.blocks.names())
    deadline = time.monotonic() + 30
    while site.blocks.names() != named_blocks(site, monkeypatch) and time.monotonic() < deadline:
        time.sleep(LEEWAY_S)
        told = site.admin("POST", "gc")
        assert told["problems"] == []

    assert site.blocks.names() == named_blocks(site, monkeypatch)
    for key, body in kept.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(kept)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_what_was_acknowledged_outlives_kill_9(site, s3):
    """Inline and in blocks, overwritten and deleted: after kill -9 and a restart all is as it was told."""
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="blocks", Body=BODY)
    s3.put_object(Bucket=bucket, Key="inline", Body=b"old")
    s3.put_object(Bucket=bucket, Key="inline", Body=b"new")
    s3.put_object(Bucket=bucket, Key="deleted", Body=BODY)
    s3.delete_object(Bucket=bucket, Key="deleted")
    site.kill()
    site.start()
    assert s3.get_object(Bucket=bucket, Key="blocks")["Body"].read() == BODY
    assert s3.get_object(Bucket=bucket, Key="inline")["Body"].read() == b"new"
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == ["blocks", "inline"]
