"""`causeway fullsync`: compare this site with a sink by their hash trees, and stream what is missing."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from chalicelib.cli import world
from chalicelib.cli.admin_client import AdminClient, Fields
from chalicelib.cli.command import At, command, noun
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import Output, duration, size
from chalicelib.settings import duration_ms

app = noun("fullsync", "Compare with a sink and stream what it lacks.")
Sink = Annotated[str, typer.Argument(metavar="SINK", help="The sink's site name.")]
WAIT_STEP_S = 0.25
GIVE_UP_S = 60  # a link that is up brings a run on within seconds
_WORDS = {"never": 0, "0": 0, "default": None}
TREE_DEPTH_SHOWN = 4  # digits of a prefix that matter for a progress bar


@command(
    app,
    "start",
    "causeway fullsync start east",
    "causeway fullsync start east --wait",
    "causeway fullsync start east --dry-run --wait --json",
)
def start(
    at: At,
    sink: Sink,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on although the sink is new or lost most of what it had.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare only; count what would be sent.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it has ended.")] = False,
    give_up: Annotated[
        int,
        typer.Option(min=1, metavar="SECONDS", help="With --wait: end with 3 if the sink is silent so long."),
    ] = GIVE_UP_S,
) -> None:
    """Begin a run now, unless one is running."""
    run = at.site.post("links", sink, "fullsync", action="start", anyway=anyway, dry_run=dry_run)
    if not wait:
        at.out.value(run, f"comparing with {sink}; `{_status_of(sink, at)}` shows how far")
        return
    run = follow(at.site, sink, at.out, give_up, _status_of(sink, at))
    at.out.value(run, told(sink, run, at.again))
    _judge(sink, run)


@command(app, "status", "causeway fullsync status east", "causeway fullsync status east --json")
def status(at: At, sink: Sink) -> None:
    """Show the last run, or how far the present one is; exit with 1 unless it completed."""
    run = at.site.get("links", sink, "fullsync")
    at.out.value(run, told(sink, run, at.again))
    if run["state"] != "complete":
        raise Failure(Exit.NO, "")


@command(app, "stop", "causeway fullsync stop east")
def stop(at: At, sink: Sink) -> None:
    """End a run; the next one begins anew."""
    at.out.value(at.site.post("links", sink, "fullsync", action="stop"), f"no fullsync to {sink} is running")


@command(
    app,
    "interval",
    "causeway fullsync interval east 6h",
    "causeway fullsync interval east never",
    "causeway fullsync interval east default",
)
def interval(
    at: At,
    sink: Sink,
    every: Annotated[
        str, typer.Argument(metavar="DURATION", help="30m, 6h, 7d, never, or default: as the site is set.")
    ],
) -> None:
    """Set how often a run begins by itself."""
    try:
        every_ms = _WORDS[every] if every in _WORDS else duration_ms(every)
    except ValueError as problem:
        raise usage(f"{every}: {problem}, never or default") from problem
    run = at.site.post("links", sink, "fullsync", action="interval", interval_ms=every_ms)
    told = f"every {duration(run['interval_ms'])}" if run["interval_ms"] else "never"
    at.out.value(run, f"a fullsync to {sink} begins by itself: {told}")


def _status_of(sink: str, at: At) -> str:
    return f"causeway fullsync status {sink}{at.again}"


def follow(
    site: AdminClient, sink: str, out: Output, give_up_s: float = GIVE_UP_S, status: str = ""
) -> Fields:
    """Show a run's progress until it has ended. Failure when it stood still, for one reason or another, for
    `give_up_s`; the command `status` is what to look with then."""
    columns = (
        TextColumn("fullsync"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
    )  # fmt: skip
    silent = out.as_json or not out.console.is_terminal
    since: float | None = None
    with Progress(*columns, console=out.console, disable=silent) as bar:
        task = bar.add_task("", total=1.0)
        while True:
            run = site.get("links", sink, "fullsync")
            bar.update(task, completed=progress(run), description=counted(run))
            if run["state"] != "running":
                return run
            now = world.elapsed_s()
            if not run["error"]:  # its last step went well
                since = None
            elif since is None:
                since = now
                _say(out, silent, f"waiting: {_standing(sink, run['error'])[1]}")
            elif now - since >= give_up_s:
                raise _given_up(sink, run["error"], give_up_s, status)
            world.sleep_s(WAIT_STEP_S)


def _say(out: Output, silent: bool, text: str) -> None:
    if silent:
        out.note(text)
    else:  # above the bar, by the console that draws it
        out.console.print(text, highlight=False, markup=False)


def _standing(sink: str, error: str) -> tuple[Exit, str]:
    """Why a running run does not go on; `error` begins with the name of a StoreError."""
    if error.startswith(("Unavailable", "Indeterminate")):
        return Exit.UNREACHABLE, f"{sink} does not answer ({error})"
    return Exit.REFUSED if error.startswith("Refused") else Exit.NO, f"the run does not go on ({error})"


def _given_up(sink: str, error: str, give_up_s: float, status: str) -> Failure:
    kind, why = _standing(sink, error)
    after = f"; `{status}` shows whether it does" if status else ""
    return Failure(
        kind,
        f"given up after {give_up_s:.0f} s (--give-up): {why}; the run goes on by itself once it can{after}",
    )


def progress(run: dict[str, Any]) -> float:
    """How far a run is, 0 to 1: buckets compared, and how far along the hashes of the present one."""
    cursor, tally = run["cursor"], run["tally"]
    if run["state"] == "complete" or cursor["phase"] in ("blocks", "done"):
        return 1.0
    buckets = tally["buckets"]
    if not buckets:
        return 0.0
    compared = tally["compared"]
    if cursor["phase"] == "tree":
        stack = cursor["stack"]
        compared += (_along(stack[0]) if stack else 1.0) - 1
    return min(1.0, max(0.0, compared / buckets))


def _along(prefix: str) -> float:
    """Where a prefix of hex digits lies among all hashes: "8" is half-way."""
    digits = prefix.removeprefix("=").partition("/")[0][:TREE_DEPTH_SHOWN]
    return int(digits, 16) / 16 ** len(digits) if digits else 0.0


def counted(run: dict[str, Any]) -> str:
    """A run's counts for people."""
    tally = run["tally"]
    sent = f"{tally['would_send']} to send" if run["dry_run"] else f"{tally['applied']} applied"
    return (
        f"{tally['compared']}/{tally['buckets']} buckets, {tally['entries']} keys looked at, {sent}, "
        f"{tally['completed']} completed, {size(tally['bytes'])} moved"
    )


def told(sink: str, run: dict[str, Any], again: str = "") -> str:
    """A run as a sentence; `again` names the site to a command that is advised."""
    if run["state"] == "never":
        return f"fullsync to {sink}: never run; `causeway fullsync start {sink}{again}`"
    took = f" in {duration(run['ended_ms'] - run['started_ms'])}" if run["ended_ms"] else ""
    state = "dry run ended" if run["dry_run"] and run["state"] == "incomplete" else run["state"]
    why = f"; {run['error']}" if run["error"] else ""
    return f"fullsync to {sink}: {state}{took}: {counted(run)}{why}"


def _judge(sink: str, run: dict[str, Any]) -> None:
    tally = run["tally"]
    if run["state"] == "complete":
        return
    if run["dry_run"] and run["state"] == "incomplete" and not run["error"]:
        if not tally["would_send"]:
            return
        raise Failure(Exit.NO, "")
    raise Failure(Exit.NO, f"the fullsync to {sink} is {run['state']}: {run['error'] or 'see its counts'}")
