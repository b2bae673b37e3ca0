"""The two servers of a comparison: a real MinIO, and a Causeway site as it comes.

    with side_by_side(directory) as (ours, theirs): …       data of both on one disk
    with linked_sites(directory) as (source, sink): …       two sites, realtime started
    with linked_minios(directory) as (source, sink): …      two MinIOs; `replicate` links a bucket

Promise the site is told its name, where to keep its data and a free port, and nothing else: everything
        that is measured is the default (tests/test_benchmarks_default.py)
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.client import Target
from chalicelib.s3.canonical import Credentials
from tests.e2e.linked import wait_caught_up
from tests.services.install import binary
from tests.services.run import Service, minio_server
from tests.site_process import SiteProcess, directory_site

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server and how to see what it costs."""

    target: Target
    pid: int  # of its first process; the others are its children
    data: Path

    def s3(self) -> Any:
        """A boto3 client, for what is not measured."""
        keys = self.target.credentials
        return boto3.client(
            "s3",
            endpoint_url=self.target.endpoint,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )

    def processes(self) -> list[int]:
        """Every process of the server."""
        found, asked = [], [self.pid]
        while asked:
            pid = asked.pop()
            found.append(pid)
            asked += _children(pid)
        return found


def of_site(site: SiteProcess) -> Peer:
    """A Causeway site as a peer."""
    assert site.server is not None, "the site does not run"
    credentials = Credentials(*site.keys, REGION)
    return Peer(Target("Causeway", site.endpoint, credentials), site.server.process.pid, site.data)


def _of_minio(service: Service, data: Path) -> Peer:
    credentials = Credentials(service.access_key, service.secret_key, REGION)
    return Peer(Target("MinIO", service.endpoint, credentials), _pid_of(data), data)


@contextmanager
def side_by_side(directory: Path) -> Iterator[tuple[Peer, Peer]]:
    """(Causeway, MinIO)."""
    with ExitStack() as running:
        ours = running.enter_context(causeway(directory))
        theirs = running.enter_context(minio(directory))
        yield ours, theirs


@contextmanager
def causeway(directory: Path) -> Iterator[Peer]:
    """One site, told nothing but what it must be."""
    place = Path(tempfile.mkdtemp(prefix="causeway-", dir=directory))
    with directory_site(place) as site:
        yield of_site(site)


@contextmanager
def minio(directory: Path) -> Iterator[Peer]:
    """One MinIO with its defaults."""
    place = Path(tempfile.mkdtemp(prefix="minio-", dir=directory))
    with minio_server(place) as service:
        yield _of_minio(service, place)


@contextmanager
def linked_sites(directory: Path, bucket: str) -> Iterator[tuple[Peer, Peer]]:
    """(source, sink): realtime started and caught up, the bucket at both."""
    with ExitStack() as running:
        west = Path(tempfile.mkdtemp(prefix="west-", dir=directory))
        east = Path(tempfile.mkdtemp(prefix="east-", dir=directory))
        source = running.enter_context(directory_site(west, "west"))
        sink = running.enter_context(directory_site(east, "east", primary="west"))
        _link(source, sink)
        of_site(source).s3().create_bucket(Bucket=bucket)
        wait_caught_up(source, sink)
        yield of_site(source), of_site(sink)


def _link(source: SiteProcess, sink: SiteProcess) -> None:
    """Realtime from `source` to `sink`, as `causeway connect` and `causeway realtime` switch it on."""
    secret = secrets.token_hex(32)
    for here, there, is_sink in ((sink, source, False), (source, sink, True)):
        who = there.admin("GET", "site")
        told = {name: who[name] for name in ("site", "public_key", "incarnation")}
        roles = {"sink": is_sink, "source": not is_sink, "prove": is_sink}
        here.admin("POST", "links", endpoint=there.endpoint, secret=secret, **told, **roles)
    for action in ("enable", "start"):
        source.admin("POST", f"links/{sink.name}/realtime", action=action)


@contextmanager
def linked_minios(directory: Path, bucket: str) -> Iterator[tuple[Peer, Peer]]:
    """(source, sink): MinIO's bucket replication of one versioned bucket."""
    with ExitStack() as running:
        source = running.enter_context(minio(directory))
        sink = running.enter_context(minio(directory))
        for peer in (source, sink):
            peer.s3().create_bucket(Bucket=bucket)
            peer.s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        _replicate(source, sink, bucket)
        yield source, sink


def _replicate(source: Peer, sink: Peer, bucket: str) -> None:
    with tempfile.TemporaryDirectory() as configuration:
        environment = {**os.environ, "MC_HOST_source": _url_with_keys(source)}
        command = [str(binary("mc")), "--config-dir", configuration, "replicate", "add"]
        command += [f"source/{bucket}", "--remote-bucket", f"{_url_with_keys(sink)}/{bucket}"]
        subprocess.run(command, env=environment, check=True, capture_output=True)


def _url_with_keys(peer: Peer) -> str:
    keys = peer.target.credentials
    return peer.target.endpoint.replace("://", f"://{keys.access_key}:{keys.secret}@")


def _pid_of(data: Path) -> int:
    """The process that has `data` on its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(data) in words:
                return int(entry.name)
    raise ProcessLookupError(f"nobody serves {data}")


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for each in threads for child in (each / "children").read_text().split()]
    except OSError:
        return []
