"""`causeway status`: every link of a site: up or down, how far behind, what failed, how far a fullsync is."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from chalicelib.cli import world
from chalicelib.cli.admin_client import Fields
from chalicelib.cli.command import At, command
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.output import counted, duration, size, table, yes

REFRESH_S = 2.0
WAIT_STEP_S = 0.25


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "status",
        "causeway status",
        "causeway status --watch",
        "causeway status --wait 60 && echo the sinks have everything",
    )
    def status(
        at: At,
        watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until Ctrl-C.")] = False,
        wait: Annotated[
            int, typer.Option(min=0, metavar="SECONDS", help="Wait this long for everything to be caught up.")
        ] = 0,
    ) -> None:
        """Show how every link of the site stands; exit with 1 unless all sinks have everything."""
        if watch:
            _watch(at)
        found = at.site.get("status")
        until = world.elapsed_s() + wait
        while not settled(found) and world.elapsed_s() < until:
            world.sleep_s(WAIT_STEP_S)
            found = at.site.get("status")
        why = unsettled(found)
        at.out.value({**found, "settled": not why, "unsettled": why}, *pictured(found))
        if why:  # one JSON value is all there is, so it has the reasons
            raise Failure(
                Exit.NO, "" if at.out.as_json else f"not everything is everywhere: {'; '.join(why)}"
            )


def _watch(at: At) -> None:
    if at.out.as_json or not at.out.console.is_terminal:
        while True:
            found = at.site.get("status")
            at.out.value(
                {**found, "settled": settled(found), "unsettled": unsettled(found)}, *pictured(found)
            )
            world.sleep_s(REFRESH_S)
    with Live(console=at.out.console, auto_refresh=False) as live:
        while True:
            live.update(Group(*pictured(at.site.get("status"))), refresh=True)
            world.sleep_s(REFRESH_S)


def settled(found: Fields) -> bool:
    """Whether every sink has everything this site has, and this site every block of its records."""
    return not unsettled(found)


def unsettled(found: Fields) -> list[str]:
    """Why not everything is everywhere, each reason in words."""
    sinks = [link for link in found["links"] if "sink" in link["role"]]
    reasons = [why for link in sinks for why in _behind(link)]
    if found["incomplete"]:
        reasons.append(_lacking(found["incomplete"]))
    return reasons


def _behind(link: dict[str, Any]) -> list[str]:
    """Why a sink is not known to have everything."""
    name, reasons = link["site"], []
    if not link["up"]:
        reasons.append(
            f"{name} is down ({link['error'] or 'it never answered yet'}): what it has is not known"
        )
    if not link["enabled"]:
        reasons.append(f"realtime to {name} is disabled, so it is owed nothing")
    elif not link["caught_up"]:
        if link["backfilling"]:
            reasons.append(f"no fullsync to {name} has completed since realtime was enabled")
        owed = counted(link["records_behind"], "record"), counted(link["blocks_behind"], "block")
        if link["records_behind"] or link["blocks_behind"]:
            reasons.append(f"{name} is {owed[0]} and {owed[1]} behind")
        if not link["started"]:
            reasons.append(f"realtime to {name} is stopped")
    return reasons


def _lacking(records: int) -> str:
    return f"{counted(records, 'record')} {'lacks' if records == 1 else 'lack'} blocks here"


def link_to(found: Fields, site: str) -> Fields:
    """One link's part of a status."""
    for link in found["links"]:
        if link["site"] == site:
            return dict(link)
    raise Failure(Exit.REFUSED, f"there is no link to {site}; `causeway connections` lists them")


def pictured(found: Fields) -> list[RenderableType]:
    """A status for people."""
    head = f"site {found['site']} at {found['endpoint']}, primary {found['primary']}"
    if found["incomplete"]:
        head += f"; {_lacking(found['incomplete'])}"
    if not found["links"]:
        return [head, "no links; `causeway connect` makes one"]
    columns = (
        "link", "role", "up", "realtime", ">records", ">blocks", ">bytes", ">lag",
        "caught up", "proxy_get", ">served", "fullsync",
    )  # fmt: skip
    errors = [f"{link['site']}: {link['error']}" for link in found["links"] if link["error"]]
    return [head, table(columns, map(_row, found["links"])), *errors]


def _row(link: dict[str, Any]) -> tuple[str, ...]:
    sink = "sink" in link["role"]
    owed = (
        (
            str(link["records_behind"]),
            str(link["blocks_behind"]),
            size(link["bytes_behind"]),
            duration(link["lag_ms"]),
        )
        if sink
        else ("-",) * 4
    )
    return (
        link["site"],
        link["role"],
        yes(link["up"]),
        _realtime(link) if sink else "-",
        *owed,
        yes(link["caught_up"]) if sink else "-",
        "enabled" if link["proxy_get"] else "disabled",
        str(link["proxy_get_blocks"]),
        _fullsync(link) if sink else "-",
    )


def _realtime(link: dict[str, Any]) -> str:
    if not link["enabled"]:
        return "disabled"
    if not link["started"]:
        return "stopped"
    if not link["blocks"]:
        return "blocks paused"
    return "backfilling" if link["backfilling"] else "started"


def _fullsync(link: dict[str, Any]) -> str:
    run = link["fullsync"]
    if run["state"] == "running":
        return f"running, {run['tally']['compared']}/{run['tally']['buckets']} buckets"
    return str(run["state"])
