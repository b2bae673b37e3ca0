"""`causeway proxy-get`: whether a sink may fetch blocks from this site before they were copied."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.command import At, command, noun

app = noun("proxy-get", "Let a sink fetch blocks it does not hold yet from this site.")
Sink = Annotated[str, typer.Argument(metavar="SINK", help="The sink's site name.")]


@command(app, "enable", "causeway proxy-get enable east", "causeway proxy-get enable east --data west --json")
def enable(at: At, sink: Sink) -> None:
    """Let the sink fetch blocks from this site."""
    at.out.value(
        at.site.post("links", sink, "proxy-get", action="enable"), f"{sink} may fetch blocks from this site"
    )


@command(app, "disable", "causeway proxy-get disable east")
def disable(at: At, sink: Sink) -> None:
    """Refuse to give the sink single blocks."""
    at.out.value(
        at.site.post("links", sink, "proxy-get", action="disable"),
        f"{sink} may not fetch blocks; it answers 503 for objects whose blocks have not arrived",
    )
