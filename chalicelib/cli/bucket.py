"""`causeway bucket`: make buckets and say which sites may hold them. S3 clients make and delete them, too."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.command import At, command, noun
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import table
from chalicelib.domain.account import EVERYWHERE
from chalicelib.domain.names import bucket_name_problem

app = noun("bucket", "Make and list buckets, and say which sites may hold them.")


@command(app, "create", "causeway bucket create films --data west", "causeway bucket create films --json")
def create(at: At, name: Annotated[str, typer.Argument(help="Of letters, digits, hyphens.")]) -> None:
    """Make a bucket that belongs to whoever asks; `bucket sites` says who may hold it, if not everybody."""
    from chalicelib.cli.cp_site import Site, told  # late: boto3 takes half a second

    problem = bucket_name_problem(name)
    if problem:
        raise usage(f"bucket name {name!r}: {problem}")
    try:
        at.site.get("site")  # the S3 client, tries and all, takes long to say that nobody answers
    except Failure as failure:
        if failure.exit is Exit.UNREACHABLE:
            raise  # else it is no administrator who asks: anybody may make a bucket
    s3 = Site(at.place).s3
    with told():
        s3.create_bucket(Bucket=name)
    at.out.value({"created": name}, f"made {name}; it may be held everywhere")


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
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Name a site that there is no link to yet, too.")
    ] = False,
) -> None:
    """Say which sites may hold a bucket from now on.

    What other sites hold already stays there; what they may hold now but lack comes with the next fullsync.
    """
    wanted = [EVERYWHERE if holder == "everywhere" else holder for holder in holders]
    changed = at.site.post("buckets", name, sites=wanted, anyway=anyway)
    where = "everywhere" if EVERYWHERE in wanted else f"at {', '.join(holders)}"
    at.out.value(changed, f"{name} may be held {where}")
