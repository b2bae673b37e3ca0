"""`causeway failed`: what could not be dealt with, and why; have it tried again, or drop it."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import unquote_plus

import typer

from chalicelib.cli.command import At, command, noun
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import counted, duration, table

app = noun("failed", "Show what failed and why, have it tried again, or drop it.", default="list")
ABOUT_CHARS_MAX = 60
LetterId = Annotated[str, typer.Argument(metavar="ID", help="A dead letter's id, as `list` shows it.")]


@command(app, "list", "causeway failed list", "causeway failed --json | jq '.letters[].reason'")
def list_failed(at: At) -> None:
    """List dead letters and owed items that were tried in vain; exit with 1 if there are any."""
    found = at.site.get("failed")
    at.out.value(found, *_pictured(found))
    if found["letters"] or found["items"]:
        raise Failure(Exit.NO, "")


@command(
    app, "retry", "causeway failed retry 5fea7756-0ea4-451a-a703-a558b933e274", "causeway failed retry --all"
)
def retry(
    at: At,
    letter: Annotated[str, typer.Argument(metavar="[ID]", help="A dead letter's id.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="All dead letters, and everything owed: now.")
    ] = False,
) -> None:
    """Put a dead letter back into its queue, or try everything again."""
    if everything == bool(letter):
        raise usage("say which: causeway failed retry ID, or --all")
    done = _all_tried_again(at) if everything else at.site.post("failed", action="retry", id=letter)
    at.out.value(
        done,
        f"{counted(done['letters'], 'letter')} back in their queues, {counted(done['links'], 'link')} "
        "told to try all that is owed",
    )


@command(app, "drop", "causeway failed drop 5fea7756-0ea4-451a-a703-a558b933e274")
def drop(at: At, letter: LetterId) -> None:
    """Remove a dead letter. What it was about stays owed: a sweep or a fullsync deals with that."""
    done = at.site.post("failed", action="drop", id=letter)
    at.out.value(done, f"{done['letters']} letter dropped")


def _all_tried_again(at: At) -> dict[str, Any]:
    """A request does what it has time for and says whether there is more."""
    done = at.site.post("failed", action="retry", all=True)
    letters = done["letters"]
    while done.get("more"):
        at.out.note(f"{letters} letters are in their queues again; there is more")
        done = at.site.post("failed", action="retry", all=True, began_ms=done["began_ms"])
        letters += done["letters"]
    return {"action": "retry", "letters": letters, "links": done["links"]}


def _pictured(found: dict[str, Any]) -> list[Any]:
    if not found["letters"] and not found["items"]:
        return ["nothing failed"]
    shown: list[Any] = []
    if found["letters"]:
        rows = [
            (
                one["id"],
                one["queue"],
                one["tries"] or "?",
                duration(one["age_ms"]),
                about(one["body"]),
                one["reason"],
            )
            for one in found["letters"]
        ]
        shown.append(table(("dead letter", "queue", ">tries", ">age", "about", "reason"), rows))
    if found["items"]:
        owed = [
            (
                one["sink"],
                one["stage"],
                one["kind"],
                one["name"],
                str(one["tries"]),
                duration(one["age_ms"]),
                one["error"],
            )
            for one in found["items"]
        ]
        shown.append(table(("owed to", "stage", "kind", "name", ">tries", ">age", "last error"), owed))
    if found["more"]:
        shown.append("and more than are shown")
    return shown


def about(body: str) -> str:
    """What a message was about: documents, a sink; else how it begins. For a table, which is careful."""
    try:
        plain = json.loads(body)
        if isinstance(plain, dict) and "sink" in plain:
            told = f"fullsync to {plain['sink']}"
        else:
            told = ", ".join(unquote_plus(record["s3"]["object"]["key"]) for record in plain["Records"][:3])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        told = body[:ABOUT_CHARS_MAX]
    return told
