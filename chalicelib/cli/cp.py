"""`causeway cp`: one file or stream to a site, or from it, whatever the endpoint's limits are.

Source  docs/direct.md
"""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from chalicelib.cli import cp_up, world
from chalicelib.cli.command import At, command
from chalicelib.cli.cp_body import Pipe, Readable
from chalicelib.cli.cp_down import Receiving
from chalicelib.cli.cp_names import STREAM, Download, Local, Remote, Upload, parse
from chalicelib.cli.cp_site import Site
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import Output, counted, size

Source = Annotated[str, typer.Argument(metavar="SRC", help="A file, - for a stream, or s3://BUCKET/KEY.")]
Target = Annotated[str, typer.Argument(metavar="DST", help="s3://BUCKET/KEY, or a file, - for a stream.")]
Ranged = Annotated[
    bool, typer.Option("--ranged", help="Read through the endpoint alone, in ranges a function can give.")
]
ContentType = Annotated[
    str, typer.Option(metavar="TYPE", help="What the object is; guessed by the file's name if not given.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "cp",
        "causeway cp film.mkv s3://films/film.mkv",
        "causeway cp s3://films/film.mkv film.mkv --endpoint-url https://site.example",
        "tar c photos | causeway cp - s3://backup/photos.tar",
        "causeway cp s3://backup/photos.tar - | tar x",
    )
    def cp(at: At, src: Source, dst: Target, ranged: Ranged = False, content_type: ContentType = "") -> None:
        """Copy a file or stream to a site, or from it.

        Blocks go straight to and from the block store where the site offers that, so objects of any size pass
        even when the endpoint is a function. Otherwise they go through the endpoint. Every block read is
        checked, and a file appears whole or not at all. Ctrl-C gives an upload up.
        """
        way = parse(src, dst)
        if at.out.as_json and dst == STREAM:
            raise usage("--json and a stream cannot both have standard output")
        begun = world.elapsed_s()
        try:
            if isinstance(way, Upload):
                report = _upload(at, way, content_type)
            else:
                report = _download(at, way, ranged)
        except Failure as failure:
            raise _named(failure, way.target if isinstance(way, Upload) else way.source) from failure
        report |= {"seconds": round(world.elapsed_s() - begun, 3)}
        if "why" in report:
            at.out.note(f"through the endpoint: {report['why']}")
        if dst == STREAM:
            at.out.note(_sentence(report))
        else:
            at.out.value(report, _sentence(report))


def _upload(at: At, way: Upload, content_type: str) -> dict[str, Any]:
    path = way.source.path
    kind = content_type or (mimetypes.guess_type(path.name)[0] if path else None)
    headers = {"content-type": kind} if kind else {}
    site = Site(at.place)
    with _reading(way.source) as (source, length), _bar(at.out, str(way.target), length) as moved:
        done = cp_up.upload(site, source, length, way.target, headers, moved)
    return {"source": str(way.source), "target": str(way.target), **done}


def _download(at: At, way: Download, ranged: bool) -> dict[str, Any]:
    receiving = Receiving(Site(at.place), way.source, ranged=ranged)
    found = receiving.found
    with _bar(at.out, str(way.source), found.size) as moved, _writing(way.target) as target:
        receiving.give(target, moved)
    return {
        "source": str(way.source),
        "target": str(way.target),
        "etag": found.etag,
        "bytes": found.size,
        "blocks": found.straight,
        "ranges": found.ranged,
        "direct": found.straight > 0,
        **({"why": found.why} if found.why else {}),
    }


@contextmanager
def _reading(local: Local) -> Iterator[tuple[Readable, int | None]]:
    if local.path is None:
        yield Pipe(sys.stdin.buffer), None
        return
    with _files(local.path), local.path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size if local.path.is_file() else None
        yield file, length or None  # files of /proc say 0 and give bytes


@contextmanager
def _writing(local: Local) -> Iterator[BinaryIO]:
    """The target; a file appears under its name once it is whole and on disk."""
    path = local.path
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _files(path):
        if path.exists() and not path.is_file():  # a device, a pipe
            with path.open("wb") as file:
                yield file
            return
        part = path.with_name(f".{path.name[:200]}.{world.token(4)}.part")
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def _files(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if isinstance(problem, BrokenPipeError):
            raise
        raise Failure(Exit.NO, f"{problem.filename or path}: {problem.strerror or problem}") from problem


@contextmanager
def _bar(out: Output, what: str, length: int | None) -> Iterator[Any]:
    """Tells each step on a terminal; to nobody else."""
    shown = out.notes.is_terminal and not out.as_json
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        _Speed(),
        console=out.notes,
    )
    with bar if shown else nullcontext():
        task = bar.add_task(what, total=length)
        yield lambda more: bar.advance(task, more)


class _Speed(ProgressColumn):
    """In the units of the column beside it."""

    def render(self, task: Task) -> Text:
        """Of the whole copy once it has ended."""
        speed = task.finished_speed or task.speed
        return Text(f"{size(speed)}/s" if speed else "", style="progress.data.speed")


def _named(failure: Failure, remote: Remote) -> Failure:
    """The same, saying of what and what to do."""
    told = {
        "NoSuchKey": f"{remote}: there is no such object",
        "NoSuchBucket": f"no bucket {remote.bucket}: `causeway bucket create {remote.bucket}` makes it",
        "AccessDenied": f"{remote}: {failure}",
    }.get(failure.code)
    return failure if told is None else Failure(failure.exit, told, failure.code)


def _sentence(report: dict[str, Any]) -> str:
    seconds = report["seconds"]
    speed = f" ({size(report['bytes'] / seconds)}/s)" if seconds else ""
    ways = []
    if report["blocks"]:
        whither = "from" if "ranges" in report else "to"
        ways.append(f"{counted(report['blocks'], 'block')} straight {whither} the block store")
    if report.get("ranges"):
        ways.append(f"{counted(report['ranges'], 'range')} through the endpoint")
    how = f"; {', '.join(ways)}" if ways else ""
    source = "standard input" if report["source"] == STREAM else report["source"]
    target = "standard output" if report["target"] == STREAM else report["target"]
    return f"{source} -> {target}: {size(report['bytes'])} in {seconds:.1f} s{speed}{how}"
