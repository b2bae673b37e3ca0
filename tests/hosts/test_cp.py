"""`causeway cp` against real sites: over MinIO, where blocks go straight; over a directory, where none do."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli import cp_plain, cp_up
from chalicelib.cli.cp import _reading
from chalicelib.cli.cp_down import Receiving
from chalicelib.cli.cp_names import Local, Remote
from chalicelib.cli.cp_site import Site, Unreached
from chalicelib.cli.cp_up import upload
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.place import of_data
from tests.command import NO_SITE, OK, REFUSED, UNREACHABLE, USAGE, Ran, closed_port, run
from tests.services.run import Service
from tests.site_process import SiteProcess, aws_site, directory_site

MIB = 1 << 20
LARGE = os.urandom(17 * MIB + 5)  # five blocks, the last one short


@pytest.fixture(scope="module")
def over_minio(
    tmp_path_factory: pytest.TempPathFactory, minio: Service, dynamodb: Service
) -> Iterator[SiteProcess]:
    with aws_site(tmp_path_factory.mktemp("minio"), minio, dynamodb) as site:
        yield site


@pytest.fixture(scope="module")
def over_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    with directory_site(tmp_path_factory.mktemp("directory")) as site:
        yield site


@pytest.fixture(params=["over_minio", "over_directory"])
def site(request: pytest.FixtureRequest) -> SiteProcess:
    """Either."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def bucket(site: SiteProcess) -> str:
    name = f"b-{secrets.token_hex(6)}"
    site.boto3().create_bucket(Bucket=name)
    return name


def cp(site: SiteProcess, *words: object) -> Ran:
    """One copy, as JSON."""
    return run("cp", *words, "--data", site.data, "--json")


def stream(site: SiteProcess, *words: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """One copy in a process of its own, with its pipes."""
    command = [sys.executable, "-m", "chalicelib.cli.main", "cp", *map(str, words), "--data", str(site.data)]
    return subprocess.run(command, input=given, capture_output=True, env=environment(), timeout=60)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in NO_SITE}


def direct(site: SiteProcess) -> bool:
    return site.setting("backend") == "aws" if "CAUSEWAY_BACKEND" in site.environment else False


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, len(LARGE)])
def test_there_and_back(site: SiteProcess, bucket: str, tmp_path: Path, size: int) -> None:
    """Every size, by every way; an ordinary S3 client reads the same bytes, and their type."""
    source, target, name = tmp_path / "a.txt", tmp_path / "b", f"s3://{bucket}/k"
    source.write_bytes(LARGE[:size])

    up = cp(site, source, name)
    assert up.exit == OK, up.out
    straight = direct(site) and size > 4 * MIB
    assert (up.json["bytes"], up.json["direct"], up.json["target"]) == (size, straight, name)
    got = site.boto3().get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentType"]) == (LARGE[:size], "text/plain")
    assert got["ETag"] == f'"{up.json["etag"]}"'

    for way in ([], ["--ranged"]):
        down = cp(site, name, target, *way)
        assert down.exit == OK, down.out
        assert target.read_bytes() == LARGE[:size]
        assert (down.json["bytes"], down.json["etag"]) == (size, up.json["etag"])
        straight = direct(site) and not way and size > 1
        assert down.json["blocks"] == (-(-size // (4 * MIB)) if straight else 0)
        assert not (straight and down.json["ranges"])


def test_streams(site: SiteProcess, bucket: str) -> None:
    """Standard input, whose length nobody knows, and standard output; results stand on standard error."""
    up = stream(site, "-", f"s3://{bucket}/k", given=LARGE)
    assert up.returncode == OK, up.stderr
    down = stream(site, f"s3://{bucket}/k", "-")
    assert down.returncode == OK and down.stdout == LARGE
    assert b"17.0 MiB" in down.stderr


def test_a_file_that_says_it_is_empty() -> None:
    """And is not: its length is not known."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("only Linux has such files")
    with _reading(Local(Path("/proc/self/status"))) as (file, length):
        assert length is None and file.read(1)


def test_names_of_targets(site: SiteProcess, bucket: str, tmp_path: Path) -> None:
    """A directory, here or there, takes the source's name."""
    source = tmp_path / "name.bin"
    source.write_bytes(b"x")
    assert cp(site, source, f"s3://{bucket}").json["target"] == f"s3://{bucket}/name.bin"
    assert cp(site, source, f"s3://{bucket}/a/").json["target"] == f"s3://{bucket}/a/name.bin"
    there = tmp_path / "there"
    there.mkdir()
    assert cp(site, f"s3://{bucket}/a/name.bin", there).json["target"] == str(there / "name.bin")
    assert (there / "name.bin").read_bytes() == b"x"


def test_wrong_use(over_directory: SiteProcess, tmp_path: Path) -> None:
    """Nothing is asked of anybody; each line says what to write instead."""
    here = tmp_path / "here"
    here.write_bytes(b"x")
    for words, told in (
        ((here, here), "s3://BUCKET/KEY"),
        (("s3://aaa/b", "s3://aaa/c"), "s3://BUCKET/KEY"),
        ((tmp_path / "absent", "s3://aaa/b"), "no such file"),
        ((tmp_path, "s3://aaa/b"), "one file at a time"),
        (("-", "s3://aaa"), "names no key"),
        (("s3://aaa", here), "names no key"),
        (("s3:///k", here), "names no bucket"),
        (("s3://aaa/..", f"{tmp_path}/"), "no name"),
        (("s3://aaa/b", tmp_path / "absent" / "b"), "no such directory"),
        (("s3://aaa/b", "-"), "--json"),
        ((here, "s3://FILMS!/b"), "no bucket's name"),
    ):
        ran = cp(over_directory, *words)
        assert ran.exit == USAGE and told in ran.json["message"], (words, ran)


def test_refusals(site: SiteProcess, bucket: str, tmp_path: Path) -> None:
    """S3's codes, exit 4; a file that was there stays as it was, and nothing lies beside it."""
    target = tmp_path / "target"
    target.write_bytes(b"before")
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    for words, code in (
        ((f"s3://{bucket}/absent", target), "NoSuchKey"),
        ((f"s3://{bucket}-absent/k", target), "NoSuchBucket"),
        ((source, f"s3://{bucket}-absent/k"), "NoSuchBucket"),
        ((target, f"s3://{bucket}-absent/k"), "NoSuchBucket"),
    ):
        ran = cp(site, *words)
        assert (ran.exit, ran.json["error"]) == (REFUSED, code), ran
        told = "absent: there is no such object" if code == "NoSuchKey" else "causeway bucket create"
        assert told in ran.json["message"]
    assert target.read_bytes() == b"before"
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_nobody_answers(tmp_path: Path) -> None:
    """Exit 3, whichever way."""
    source = tmp_path / "source"
    source.write_bytes(LARGE[: 5 * MIB])
    endpoint = f"http://127.0.0.1:{closed_port()}"
    told = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"}
    for words in ((source, "s3://bucket/k"), ("s3://bucket/k", tmp_path / "target")):
        ran = run("cp", *words, **told)
        assert ran.exit == UNREACHABLE and endpoint in ran.err and len(ran.err.splitlines()) == 1
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("site", "size"),
    [("over_minio", 5 * MIB), ("over_minio", 40 * MIB), ("over_directory", 40 * MIB)],
    indirect=["site"],
)
def test_ctrl_c_gives_an_upload_up(site: SiteProcess, bucket: str, size: int) -> None:
    """The upload that was open is closed, exit 130, no object appears."""
    s3 = site.boto3()
    command = [
        sys.executable,
        "-m",
        "chalicelib.cli.main",
        "cp",
        "-",
        f"s3://{bucket}/k",
        "--data",
        str(site.data),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as copying:
        assert copying.stdin is not None and copying.stderr is not None
        copying.stdin.write(bytes(size))
        copying.stdin.flush()
        while not s3.list_multipart_uploads(Bucket=bucket).get("Uploads"):
            assert copying.poll() is None
            time.sleep(0.05)
        copying.send_signal(signal.SIGINT)
        assert copying.wait(60) == 130
        assert b"Traceback" not in copying.stderr.read()
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert not s3.list_objects_v2(Bucket=bucket).get("Contents")


def test_a_damaged_block_is_never_written(site: SiteProcess, bucket: str, tmp_path: Path) -> None:
    """One byte flipped at rest: the copy fails, whichever way it reads, and the file does not appear."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    before = set(site.blocks.names())
    assert cp(site, source, f"s3://{bucket}/k").exit == OK
    name = max(set(site.blocks.names()) - before)
    body = bytearray(site.blocks.read(name))
    body[len(body) // 2] ^= 1
    site.blocks.write(name, bytes(body))

    for way in ([], ["--ranged"]):
        ran = cp(site, f"s3://{bucket}/k", target, *way)
        assert ran.exit != OK, ran
    assert [source] == list(tmp_path.iterdir())


def place(site: SiteProcess) -> Any:
    return of_data(site.data)


@pytest.mark.parametrize("ranged", [False, True])
def test_an_object_written_anew_meanwhile(site: SiteProcess, bucket: str, ranged: bool) -> None:
    """All bytes are of one version, or none are kept."""
    s3 = site.boto3()
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE)
    receiving = Receiving(Site(place(site)), Remote(bucket, "k"), ranged=ranged)
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE[1:])

    got = BytesIO()
    if direct(site) and not ranged:  # the blocks of the old version are there for a leeway
        receiving.give(got, lambda more: None)
        assert got.getvalue() == LARGE
    else:
        with pytest.raises(Failure, match="written anew"):
            receiving.give(got, lambda more: None)


def test_urls_that_are_no_longer_good(over_minio: SiteProcess, tmp_path: Path) -> None:
    """Fresh ones are asked for, up and down; what still does not come straight comes through the endpoint."""
    s3, bucket, lost = over_minio.boto3(), f"b-{secrets.token_hex(6)}", []
    s3.create_bucket(Bucket=bucket)
    site = Site(place(over_minio))
    put, get = site.blocks.put, site.blocks.get

    def put_late(url: str, headers: dict[str, str], body: bytes) -> bool:
        if len(lost) < 2:
            url = url.replace("X-Amz-Signature=", "X-Amz-Signature=0")
            lost.append(url)
        return put(url, headers, body)

    site.blocks.put = put_late
    done = upload(site, BytesIO(LARGE), len(LARGE), Remote(bucket, "k"), {}, lambda more: None)
    assert (done["direct"], len(lost)) == (True, 2)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE

    receiving = Receiving(site, Remote(bucket, "k"), ranged=False)
    for block in receiving._page["blocks"][:2]:
        block["url"] = block["url"].replace("X-Amz-Signature=", "X-Amz-Signature=0")
    got = BytesIO()
    receiving.give(got, lambda more: None)
    assert (got.getvalue(), receiving.found.straight, receiving.found.ranged) == (LARGE, 5, 0)

    site.blocks.get = lambda url: None if "/0?" in url else get(url)
    receiving, got = Receiving(site, Remote(bucket, "k"), ranged=False), BytesIO()
    receiving.give(got, lambda more: None)
    assert got.getvalue() == LARGE and receiving.found.ranged > 0


def test_a_block_the_store_lost(over_minio: SiteProcess) -> None:
    """The site does not believe that a block is there because we say so: it is sent again."""
    s3, bucket, lost = over_minio.boto3(), f"b-{secrets.token_hex(6)}", []
    s3.create_bucket(Bucket=bucket)
    site = Site(place(over_minio))
    put = site.blocks.put

    def put_nothing_once(url: str, headers: dict[str, str], body: bytes) -> bool:
        if not lost:
            lost.append(url)
            return True
        return put(url, headers, body)

    site.blocks.put = put_nothing_once
    upload(site, BytesIO(LARGE), len(LARGE), Remote(bucket, "k"), {}, lambda more: None)
    assert lost and s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE


def test_what_was_stored_comes(over_minio: SiteProcess) -> None:
    """A block that somebody's PUT called compressed is taken as it lies there."""
    s3, bucket = over_minio.boto3(), f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=bucket)
    objects: Any = over_minio.blocks
    before = set(objects.names())
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE)
    keys = {name: key for name, key in objects._keys().items() if name not in before}
    for name, key in keys.items():
        objects._store.put_object(
            Bucket=objects._bucket, Key=key, Body=objects.read(name), ContentEncoding="gzip"
        )

    receiving, got = Receiving(Site(place(over_minio)), Remote(bucket, "k"), ranged=False), BytesIO()
    receiving.give(got, lambda more: None)
    assert (got.getvalue(), receiving.found.straight) == (LARGE, 5)


@pytest.mark.parametrize("store", ["http://192.0.2.1", "http://127.0.0.1:{closed}"])
def test_a_block_store_inside(minio: Service, dynamodb: Service, tmp_path: Path, store: str) -> None:
    """A store that clients are not to reach, or do not: everything goes through the endpoint, and says so."""
    url = store.format(closed=closed_port())
    with aws_site(tmp_path / "site", minio, dynamodb, blocks_public_endpoint=url) as site:
        site.boto3().create_bucket(Bucket="bucket")
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(3 * LARGE)
        up = cp(site, source, "s3://bucket/k")
        assert (up.exit, up.json["direct"], up.json["bytes"]) == (OK, False, 3 * len(LARGE)), up
        assert url.split("//")[1].split(":")[0] in up.json["why"]
        assert not site.boto3().list_multipart_uploads(Bucket="bucket").get("Uploads")
        down = cp(site, "s3://bucket/k", target)
        assert (down.exit, down.json["blocks"], target.read_bytes()) == (OK, 0, 3 * LARGE)
        assert down.json["why"] == up.json["why"]
        told = run("cp", "s3://bucket/k", target, "--data", site.data)
        assert "through the endpoint" in told.err and told.exit == OK


def test_neither_way(over_minio: SiteProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is not to be reached, and the endpoint is a function: what is told is what can be helped."""
    s3, bucket = over_minio.boto3(), f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=bucket)
    site = Site(place(over_minio))

    def nowhere(url: str, headers: dict[str, str], body: bytes) -> bool:
        raise Unreached("the block store is far")

    def too_large(*arguments: Any) -> None:
        raise Failure(Exit.REFUSED, "use `causeway cp`", "EntityTooLarge")

    site.blocks.put = nowhere
    monkeypatch.setattr(cp_plain, "upload", too_large)
    with pytest.raises(Unreached, match="far"):
        upload(site, BytesIO(LARGE), len(LARGE), Remote(bucket, "k"), {}, lambda more: None)
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_bytes_go_nowhere_in_clear(over_minio: SiteProcess) -> None:
    """A site cannot send us to a store over plain http, nor to a file."""
    blocks = Site(place(over_minio)).blocks
    for url in ("http://192.0.2.1/b/k?X-Amz-Signature=0", "file:///etc/passwd", "https://a@b/?q"):
        with pytest.raises(Failure, match="not safe"):
            blocks.put(url, {}, b"x")


def test_a_stream_of_many_parts(over_minio: SiteProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts grow, so that 10,000 of them hold what nobody knew the size of."""
    monkeypatch.setattr(cp_up, "STREAM_STEP", 1)
    s3, bucket = over_minio.boto3(), f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=bucket)
    done = upload(Site(place(over_minio)), BytesIO(LARGE), None, Remote(bucket, "k"), {}, lambda more: None)

    assert done["etag"].endswith("-3")  # of 1, 2 and 2 blocks
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE
