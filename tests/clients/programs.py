"""Real S3 clients as subprocesses, and a tree of files for them to move."""

import os
import subprocess
import sys
from pathlib import Path

from tests.clients.conftest import BASE_DOMAIN
from tests.site_process import SiteProcess

BIN = Path(sys.executable).parent
MIB = 1 << 20
SECONDS_MAX = 60


def run(site: SiteProcess, *command: object, status: int = 0, **environment: str) -> str:
    """Run a client with the site's keys; its output. The exit status must be `status`."""
    done = subprocess.run(
        [str(part) for part in command],
        env=site.environment_of_clients() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == status, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}"
    return done.stdout


def by_virtual_host(site: SiteProcess) -> dict[str, str]:
    """Lets a client use the base domain, which no name server knows: the site is its proxy, too."""
    return {"http_proxy": site.endpoint, "HTTP_PROXY": site.endpoint}


VIRTUAL_ENDPOINT = f"http://{BASE_DOMAIN}"


def make_tree(directory: Path) -> dict[str, bytes]:
    """Files of every kind clients stumble over; relative path → bytes."""
    tree = {
        "empty": b"",
        "small.txt": b"hello\n",
        "with space/a b.txt": b"1",
        "ümläut/é 🚀.txt": b"2",
        "plus+percent%20&=?#/x": b"3",
        "deep/er/and/deep/er/file": b"4",
        "medium": os.urandom(100_000),
        "large": os.urandom(17 * MIB + 11),  # every client sends this one in parts
    }
    for name, body in tree.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tree


def read_tree(directory: Path) -> dict[str, bytes]:
    """What make_tree made, or a client brought."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def stored(s3: object, bucket: str, prefix: str = "") -> dict[str, bytes]:
    """What a bucket holds below a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
