"""`causeway connect`, `connections`, `disconnect`: which other sites this one is linked to.

connect  runs against the source. It asks both sites who they are, makes a secret for the link, tells it
         the sink, then the source, which proves the link with a signed hello before it keeps it. When
         that fails, the sink forgets the link again.
Errors   the failing site's own words; plain http goes to loopback only
Source   riak-repl connect (research/riakcs.md §1.7); DESIGN §5 "Links".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.cli import place as places
from chalicelib.cli import world
from chalicelib.cli.admin_client import AdminClient, Fields
from chalicelib.cli.command import At, command
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import table, yes
from chalicelib.domain.endpoints import check_endpoint

SECRET_BYTES = 32
_SINK = "The sink's administrator (one of)"


def _sink_option(**about: Any) -> Any:
    return typer.Option(rich_help_panel=_SINK, **about)


@dataclass(frozen=True, slots=True)
class Terms:
    """How two sites are to be linked. The endpoints are as the *other* site will use them."""

    sink_endpoint: str
    source_endpoint: str = ""  # "": as the source names itself
    both_ways: bool = False
    ca_file: str = ""  # vouches for the sink, a path on the source
    sink_ca_file: str = ""  # vouches for the source, a path on the sink
    sink_tables: str = ""  # the sink's own tables and bucket, as JSON: records then go there directly
    administers: bool = False  # administrators of either site count as the other's


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _register_connect(app)

    @command(app, "connections", "causeway connections", "causeway connections --json")
    def connections(at: At) -> None:
        """List the links of this site."""
        found = at.site.get("links")
        rows = [
            (
                li["site"],
                _role(li),
                li["endpoint"],
                yes(li["enabled"]),
                yes(li["started"]),
                yes(li["proxy_get"]),
            )
            for li in found["links"]
        ]
        heads = ("site", "role", "endpoint", "realtime enabled", "started", "proxy_get")
        at.out.value(found, table(heads, rows) if rows else "no links; `causeway connect` makes one")

    @command(app, "disconnect", "causeway disconnect east", "causeway disconnect east --data west --json")
    def disconnect(
        at: At, site: Annotated[str, typer.Argument(metavar="SITE", help="The other site's name.")]
    ) -> None:
        """Forget a link and what is owed over it. Run it at the other site too."""
        gone = at.site.delete("links", site)
        at.out.value(gone, f"no link to {site} any more; at {site}: causeway disconnect THIS_SITE")


def _register_connect(app: typer.Typer) -> None:
    @command(
        app,
        "connect",
        "causeway connect --data west --sink-data east",
        "causeway connect --sink https://east:9000 --sink-profile east --ca-file ca.pem",
        "CAUSEWAY_SINK_SECRET_KEY=… causeway connect --sink https://east:9000 --sink-access-key CW…",
    )
    def connect(  # noqa: PLR0913 - each is an option of the command
        at: At,
        sink: Annotated[
            str,
            typer.Option(metavar="URL", help="The sink, as the source reaches it."),
        ] = "",
        sink_data: Annotated[Path | None, _sink_option(metavar="DIR", help="Its data directory.")] = None,
        sink_profile: Annotated[str, _sink_option(metavar="NAME", help="A profile of ~/.aws.")] = "",
        sink_access_key: Annotated[
            str, _sink_option(metavar="KEY", help="Its access key; the secret: CAUSEWAY_SINK_SECRET_KEY.")
        ] = "",
        sink_secret_key: Annotated[str, typer.Option(envvar="CAUSEWAY_SINK_SECRET_KEY", hidden=True)] = "",
        source_endpoint: Annotated[
            str,
            typer.Option(metavar="URL", help="This site, as the sink reaches it, if not as it names itself."),
        ] = "",
        both_ways: Annotated[
            bool, typer.Option("--both-ways", help="Each site is the other's sink.")
        ] = False,
        ca_file: Annotated[
            str, typer.Option(metavar="FILE", help="Vouches for the sink; a path on the source.")
        ] = "",
        sink_ca_file: Annotated[
            str, typer.Option(metavar="FILE", help="Vouches for the source; a path on the sink.")
        ] = "",
        sink_tables: Annotated[
            str,
            typer.Option(metavar="JSON", help="Write records to the sink's own DynamoDB tables and bucket."),
        ] = "",
        administers: Annotated[
            bool,
            typer.Option("--administers", help="Let either site make and change the other's administrators."),
        ] = False,
    ) -> None:
        """Link this site (the source) to a sink; nothing is kept unless the link works."""
        if sink_data is not None:
            other = places.of_data(sink_data, sink, at.ca_bundle or ca_file, places.SINK)
        elif sink_access_key:
            if not sink_secret_key or not sink:
                raise usage("--sink-access-key needs --sink and its secret in CAUSEWAY_SINK_SECRET_KEY")
            bundle = at.ca_bundle or ca_file
            other = places.make(sink, sink_access_key, sink_secret_key, ca_bundle=bundle, said=places.SINK)
        elif sink_profile:
            other = places.of_credentials(sink, sink_profile, at.ca_bundle or ca_file, places.SINK)
        else:
            raise usage("say how to reach the sink: --sink-data, --sink-profile or --sink-access-key")
        there = sink or other.endpoint
        terms = Terms(there, source_endpoint, both_ways, ca_file, sink_ca_file, sink_tables, administers)
        linked = link(at.site, AdminClient(other), terms)
        at.out.value(linked, f"{linked['source']} → {linked['sink']}: the link works", *_warned(linked))
        at.out.note(_next(linked["sink"], both_ways, linked["source"], at.again))


def link(source: AdminClient, sink: AdminClient, terms: Terms) -> Fields:
    """Link two sites; what was made is undone when the link does not work."""
    mine, theirs = source.get("site"), sink.get("site")
    if mine["site"] == theirs["site"]:
        raise Failure(Exit.REFUSED, f"both endpoints are site {mine['site']}; a site is not linked to itself")
    here = _checked(terms.source_endpoint or mine["endpoint"])
    there = _checked(terms.sink_endpoint)
    secret = world.token(SECRET_BYTES)
    for_sink = {
        "site": mine["site"], "endpoint": here, "secret": secret, "public_key": mine["public_key"],
        "incarnation": mine["incarnation"], "ca_file": terms.sink_ca_file, "source": True,
        "sink": terms.both_ways, "administers": terms.administers,
    }  # fmt: skip
    for_source = {
        "site": theirs["site"], "endpoint": there, "secret": secret, "public_key": theirs["public_key"],
        "incarnation": theirs["incarnation"], "ca_file": terms.ca_file, "sink": True,
        "source": terms.both_ways, "administers": terms.administers,
        **({"tables": terms.sink_tables} if terms.sink_tables else {}),
    }  # fmt: skip
    was_linked = any(known["site"] == mine["site"] for known in sink.get("links")["links"])
    sink.post("links", **for_sink, prove=False)
    try:
        source.post("links", **for_source, prove=True)
    except Failure as failure:
        raise _undone(failure, sink, mine["site"], was_linked) from failure
    warning = ""
    try:
        sink.post("links", **for_sink, prove=True)
    except Failure as failure:
        if terms.both_ways:
            raise Failure(
                failure.exit, f"{theirs['site']} cannot use the link: {failure}", failure.code
            ) from failure
        warning = (
            f"{theirs['site']} cannot reach {mine['site']} at {here}: records and blocks will arrive, but "
            f"proxy_get will not work ({failure})"
        )
    return {"source": mine["site"], "sink": theirs["site"], "both_ways": terms.both_ways, "warning": warning}


def _undone(failure: Failure, sink: AdminClient, source: str, was_linked: bool) -> Failure:
    """The sink forgets what the source could not prove."""
    if was_linked:
        after = f"; the sink's earlier link to {source} has a new secret: put this right, connect again"
        return Failure(failure.exit, f"{failure}{after}", failure.code)
    try:
        sink.delete("links", source)
    except Failure as left:
        after = f"; the sink could not be told to forget it ({left})"
        return Failure(failure.exit, f"{failure}{after}", failure.code)
    return Failure(failure.exit, f"{failure}; nothing was changed", failure.code)


def _checked(endpoint: str) -> str:
    try:
        return check_endpoint(endpoint)
    except ValueError as problem:
        raise usage(str(problem)) from problem


def _warned(linked: Fields) -> list[str]:
    return [f"warning: {linked['warning']}"] if linked["warning"] else []


def _next(sink: str, both_ways: bool, source: str, again: str) -> str:
    lines = [
        "Next: owe it what is written from now on, and compare once; stream it; let it fetch what has not "
        "arrived:",
        f"  causeway realtime enable {sink}{again}",
        f"  causeway realtime start {sink}{again}",
        f"  causeway proxy-get enable {sink}{again}",
    ]
    if both_ways:
        lines.append(f"and the same at {sink} for {source}")
    return "\n".join(lines)


def _role(one: dict[str, Any]) -> str:
    return "+".join(role for role in ("sink", "source", "administers") if one.get(role)) or "none"
