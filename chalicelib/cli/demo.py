"""`causeway demo`, which is `make run`: two sites on this machine, shown at work on real files.

west is source and primary, east is sink; both are `causeway serve` processes on free ports of loopback
with keys made for this run. What is shown, and what is checked: demo_steps.py. Everything is kept in
one directory, which is removed at the end unless --data names it.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.cli import world
from chalicelib.cli.command import At, command
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import Output, size, table
from chalicelib.settings import size_in

FILES_MAX = 6000
TREE_BYTES_MAX = 300 * 1024 * 1024
BIG = "1100MiB"
BIG_MIN = 100 << 20  # has the blocks that proxy_get is shown with
COPIES = 4  # the file itself, a block store each, and room to breathe


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "demo",
        "causeway demo",
        "causeway demo --once",
        "causeway demo --tree ~/Pictures --data demo",
        site=False,
    )
    def demo(
        at: At,
        data: Annotated[
            Path | None, typer.Option(metavar="DIR", help="Keep everything in DIR; else it is removed.")
        ] = None,
        once: Annotated[bool, typer.Option("--once", help="Exit with 0 or 1 after the check.")] = False,
        tree: Annotated[
            list[Path] | None,
            typer.Option(
                metavar="DIR", exists=True, file_okay=False, help="Store these files instead of our own."
            ),
        ] = None,
        files: Annotated[int, typer.Option(min=100, help="Store at most this many files.")] = FILES_MAX,
        big: Annotated[str, typer.Option(metavar="SIZE", help="The one large file.")] = BIG,
    ) -> None:
        """Show two sites at work on real files, check every byte, then keep serving until Ctrl-C."""
        try:
            big_bytes = size_in(BIG_MIN, 64 << 30)(big)
        except ValueError as problem:
            raise usage(f"--big {big}: {problem}") from problem
        right = _run(at.out, data, once, tree or [], files, big_bytes)
        if not right:
            raise Failure(Exit.NO, "")


def _run(out: Output, data: Path | None, once: bool, trees: list[Path], files_max: int, big: int) -> bool:
    # Late: boto3 and the steps take half a second that no other command needs.
    from chalicelib.cli.demo_files import default_trees, gather, make
    from chalicelib.cli.demo_screen import Screen
    from chalicelib.cli.demo_sites import Site
    from chalicelib.cli.demo_steps import Demonstration

    begun = world.elapsed_s()
    with ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        directory = stack.enter_context(_directory(data, out))
        _require_room(directory, COPIES * (big + TREE_BYTES_MAX))
        west = Site("west", "west", directory / "west")
        east = Site("east", "west", directory / "east")
        for site in (west, east):
            stack.callback(site.stop)
            site.start()
        for site in (west, east):
            site.wait_until_ready()
        screen = Screen(out, west, east)
        shown = Demonstration(west, east, directory, screen)
        shown.link()
        screen.figures.ended.append(("start and link two sites", world.elapsed_s() - begun))
        screen.say("Two sites, linked: west is source and primary, east is its sink.")
        lines = _lines(shown, once)
        _say_lines(screen, lines)
        large = directory / "large.bin"
        with screen.running():
            with screen.phase("make one large file"):
                make(large, big, shown.bucket)
            files = [("large.bin", large), *gather(trees or default_trees(), files_max, TREE_BYTES_MAX)]
            for name, step in (
                ("store at west, block copying paused", lambda: shown.store(files)),
                ("read at east through proxy_get", shown.read_through),
                ("copy blocks to east", shown.copy),
                ("line cut: write, overwrite, delete at west", shown.cut),
                ("line healed: fullsync", shown.heal),
                ("read everything from both sites", shown.check),
            ):
                with screen.phase(name), _explained(name):
                    step()
        return _verdict(out, shown, lines, world.elapsed_s() - begun, once)


def _verdict(out: Output, shown: Any, lines: dict[str, str], took_s: float, once: bool) -> bool:
    right = all(check.right for check in shown.checks)
    rows = [("ok" if check.right else "WRONG", check.what, check.found) for check in shown.checks]
    word = "Everything is as it should be" if right else "Something is WRONG"
    value = {
        "right": right,
        "seconds": round(took_s, 1),
        "checks": [{"what": c.what, "found": c.found, "right": c.right} for c in shown.checks],
        "phases": [{"name": name, "seconds": round(s, 1)} for name, s in shown.screen.figures.ended],
        "objects": len(shown.ledger.stored),
        "bytes": shown.ledger.bytes,
    }
    out.value(value, "", *_told(out.console.is_terminal, shown.screen.figures.ended, rows), "")
    screen = shown.screen
    screen.say(f"{word}. It took {took_s:.0f} s.")
    if not once:
        _say_lines(screen, lines)
        screen.say("Both sites keep serving until Ctrl-C.")
        _until_ctrl_c()
    return right


def _told(terminal: bool, phases: list[tuple[str, float]], rows: list[tuple[str, str, str]]) -> list[Any]:
    """Tables on a terminal; elsewhere lines without the blanks that fill a table up, and no phases: each had
    its line when it ended."""
    if terminal:
        took = table(("", ">seconds"), [(name, f"{s:.1f}") for name, s in phases])
        return [took, "", table(("", "check", "found"), rows)]
    mark, what = (max(len(row[n]) for row in rows) for n in (0, 1))
    return [f"{row[0]:{mark}}  {row[1]:{what}}  {row[2]}" for row in rows]


def _until_ctrl_c() -> None:
    try:
        while True:
            world.sleep_s(3600)
    except KeyboardInterrupt:
        return


def _lines(shown: Any, once: bool) -> dict[str, str]:
    """What to paste to reach the sites, from the directory this was started in. Nothing with --once: the
    sites are gone by the time anybody has pasted it."""
    if once:
        return {}
    key, secret = shown.user["access_key"], shown.user["secret_key"]
    west, east = shown.west.endpoint, shown.east.endpoint
    python = f"import boto3; s3 = boto3.client('s3', endpoint_url='{east}', region_name='us-east-1')"
    listed = f"print(s3.list_objects_v2(Bucket='{shown.bucket}')['KeyCount'])"
    return {
        "west": west,
        "east": east,
        "keys": f"export AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_DEFAULT_REGION=us-east-1",
        "aws": f"{_program('aws')} --endpoint-url {east} s3 ls s3://{shown.bucket}/",
        "boto3": f'{_program("python")} -c "{python}; {listed}"',
        "rclone": f"rclone ls \":s3,provider=Other,env_auth,endpoint='{east}':{shown.bucket}\"",
        "causeway": f"{_program('causeway')} status --data {shlex.quote(str(shown.west.data))}",
    }


def _program(name: str) -> str:
    """How a shell finds it: in the environment we run in, which need not be on its PATH; else by its name."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        return name
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _say_lines(screen: Any, lines: dict[str, str]) -> None:
    if not lines:
        return
    screen.say(f"west  {lines['west']}\neast  {lines['east']}\n")
    for name in ("keys", "aws", "boto3", "rclone", "causeway"):
        screen.say(f"  {lines[name]}")
    screen.say("")


@contextmanager
def _explained(phase: str) -> Iterator[None]:
    """What the S3 client met is told as such, not as a mistake of this command."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as problem:
        hint = "with --data DIR the sites' logs stay in DIR"
        raise Failure(Exit.NO, f"{phase}: the S3 client failed: {problem}; {hint}") from problem


@contextmanager
def _directory(data: Path | None, out: Output) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="causeway-demo-"))
    try:
        yield made
    finally:
        out.note(f"removing {made} …")  # gigabytes: it takes a moment
        shutil.rmtree(made, ignore_errors=True)


def _require_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise Failure(
            Exit.NO,
            f"{directory} has {size(free)} free and the demonstration may need {size(needed)}; "
            "use --big 100MiB, or --data on a larger disk",
        )


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A closed terminal or a kill ends the sites too, as Ctrl-C does."""

    def end(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
