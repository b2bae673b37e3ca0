"""`causeway bucket`: which sites may hold a bucket. S3 clients make and delete buckets."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.command import At, command, noun
from chalicelib.cli.output import table

app = noun("bucket", "List buckets and say which sites may hold them.")
EVERYWHERE = "*"


@command(app, "list", "causeway bucket list", "causeway bucket list --json | jq -r '.buckets[].name'")
def list_buckets(at: At) -> None:
    """List all buckets and who may hold them."""
    found = at.site.get("buckets")
    rows = [
        (
            b["name"],
            b["home"],
            "everywhere" if EVERYWHERE in b["sites"] else ", ".join(b["sites"]),
            b["state"],
        )
        for b in found["buckets"]
    ]
    at.out.value(found, table(("bucket", "home", "held at", "state"), rows))


@command(app, "sites", "causeway bucket sites payroll west", "causeway bucket sites photos everywhere")
def sites(
    at: At,
    name: Annotated[str, typer.Argument(help="The bucket.")],
    holders: Annotated[list[str], typer.Argument(metavar="SITE...", help="Site ids, or everywhere.")],
) -> None:
    """Say which sites may hold a bucket from now on.

    What other sites hold already stays there; what they may hold now but lack comes with the next fullsync.
    """
    wanted = [EVERYWHERE if holder == "everywhere" else holder for holder in holders]
    changed = at.site.post("buckets", name, sites=wanted)
    at.out.value(changed, f"{name} may be held at {', '.join(holders)}")
