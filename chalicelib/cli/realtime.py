"""`causeway realtime`: whether and when what is written here is streamed to a sink."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.command import At, command, noun

app = noun("realtime", "Stream what is written at this site to a sink.")
Sink = Annotated[str, typer.Argument(metavar="SINK", help="The sink's site name.")]


def _switch(at: At, sink: str, action: str, told: str) -> None:
    at.out.value(at.site.post("links", sink, "realtime", action=action), told)


@command(app, "enable", "causeway realtime enable east", "causeway realtime enable east --data west")
def enable(at: At, sink: Sink) -> None:
    """Owe the sink everything that is written from now on; a fullsync brings what was before."""
    _switch(
        at,
        sink,
        "enable",
        f"{sink} is owed what is written from now on; next: causeway realtime start {sink}{at.again}",
    )


@command(app, "start", "causeway realtime start east")
def start(at: At, sink: Sink) -> None:
    """Send what is owed; what waits for another try is due at once."""
    _switch(at, sink, "start", f"streaming to {sink}; `causeway status{at.again}` shows how far")


@command(app, "stop", "causeway realtime stop east")
def stop(at: At, sink: Sink) -> None:
    """Send nothing for now; what is owed is kept."""
    _switch(at, sink, "stop", f"nothing is sent to {sink}; what it is owed is kept")


@command(app, "disable", "causeway realtime disable east")
def disable(at: At, sink: Sink) -> None:
    """Stop, and forget what is owed; only a fullsync brings it then."""
    _switch(
        at,
        sink,
        "disable",
        f"{sink} is owed nothing more; `causeway fullsync start {sink}{at.again}` brings what it lacks",
    )


@command(app, "pause-blocks", "causeway realtime pause-blocks east")
def pause_blocks(at: At, sink: Sink) -> None:
    """Stream records but copy no blocks: the sink serves them through proxy_get meanwhile."""
    _switch(at, sink, "pause-blocks", f"records go on to {sink}; their blocks wait for resume-blocks")


@command(app, "resume-blocks", "causeway realtime resume-blocks east")
def resume_blocks(at: At, sink: Sink) -> None:
    """Copy blocks again, those that waited first."""
    _switch(at, sink, "resume-blocks", f"blocks are copied to {sink} again")
