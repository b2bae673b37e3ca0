"""What `causeway cp` was told to copy: a file, a stream, or s3://BUCKET/KEY.

Errors  Failure(USAGE), saying how to write it
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chalicelib.cli.failure import usage
from chalicelib.domain.names import bucket_name_problem

SCHEME = "s3://"
STREAM = "-"


@dataclass(frozen=True, slots=True)
class Remote:
    """An object."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Local:
    """A file; `path` None is standard input or output."""

    path: Path | None

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else STREAM


@dataclass(frozen=True, slots=True)
class Upload:
    """From here to a site."""

    source: Local
    target: Remote


@dataclass(frozen=True, slots=True)
class Download:
    """From a site to here."""

    source: Remote
    target: Local


def parse(source: str, target: str) -> Upload | Download:
    """Which way, and the two names; a target that is a directory or ends in `/` takes the source's name."""
    if source.startswith(SCHEME) == target.startswith(SCHEME):
        raise usage("one of SRC and DST is s3://BUCKET/KEY, the other a file or - for a stream")
    if target.startswith(SCHEME):
        return _upload(source, target)
    return _download(source, target)


def _upload(source: str, target: str) -> Upload:
    local = _local(source)
    bucket, key = _split(target)
    if local.path is not None and (not key or key.endswith("/")):
        key += local.path.name
    if not key:
        raise usage(f"{target} names no key: write s3://BUCKET/KEY")
    if local.path is not None and not local.path.exists():
        raise usage(f"{local.path}: there is no such file")
    if local.path is not None and local.path.is_dir():
        raise usage(f"{local.path} is a directory; `causeway cp` copies one file at a time")
    return Upload(local, Remote(bucket, key))


def _download(source: str, target: str) -> Download:
    bucket, key = _split(source)
    if not key:
        raise usage(f"{source} names no key: write s3://BUCKET/KEY")
    local = _local(target)
    if local.path is not None and (target.endswith("/") or local.path.is_dir()):
        name = key.rpartition("/")[2]
        if name in ("", ".", ".."):
            raise usage(f"{source} gives no name for a file in {target}: write the whole path")
        local = Local(local.path / name)
    if local.path is not None and not local.path.parent.is_dir():
        raise usage(f"{local.path.parent}: there is no such directory")
    return Download(Remote(bucket, key), local)


def _split(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise usage(f"{url} names no bucket: write s3://BUCKET/KEY")
    problem = bucket_name_problem(bucket)
    if problem:
        raise usage(f"{bucket} is no bucket's name: {problem}")
    return bucket, key


def _local(name: str) -> Local:
    if not name:
        raise usage("name a file, or - for a stream")
    return Local(None if name == STREAM else Path(name))
