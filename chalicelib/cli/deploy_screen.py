"""What `causeway deploy` shows: changes as a table, steps as they happen, outputs at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib.cli.deploy_stack import Proposal
from chalicelib.cli.output import Output, table

Told = Callable[[dict[str, Any]], None]


def show_changes(out: Output, stack: str, proposal: Proposal) -> None:
    """One row for each resource that would change."""
    rows = [
        (
            change.action.lower(),
            change.logical_id,
            change.kind,
            {"True": "yes", "Conditional": "perhaps", "False": "no"}.get(change.replacement, "-"),
            ", ".join(change.because) or "-",
        )
        for change in proposal.changes
    ]
    found = [
        {
            "action": change.action,
            "resource": change.logical_id,
            "type": change.kind,
            "replacement": change.replacement or None,
            "because": list(change.because),
            "loses_data": change.loses_data,
        }
        for change in proposal.changes
    ]
    lost = [change.logical_id for change in proposal.lost()]
    said = f"{stack} does not exist yet and would be made" if proposal.new else f"{stack} would be changed"
    if not rows:
        said = f"{stack} is up to date"
    out.value(
        {"stack": stack, "new": proposal.new, "changes": found},
        *([table(("action", "resource", "type", "replaced", "because of"), rows)] if rows else []),
        f"{said}: {len(rows)} resources" if rows else said,
        *([f"what keeps data would be replaced or let go: {', '.join(lost)}"] if lost else []),
    )


@contextmanager
def progress(out: Output, stack: str, total: int) -> Iterator[Told]:
    """Tells each step: a bar on a terminal, a line anywhere else, nothing with --json."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out.console,
        disable=out.as_json or not out.console.is_terminal,
    )
    task = bar.add_task(stack, total=total)
    ended: set[str] = set()

    def told(event: dict[str, Any]) -> None:
        status, name = event["ResourceStatus"], event["LogicalResourceId"]
        if status.endswith("_COMPLETE") and name != stack:
            ended.add(name)
        bar.update(task, completed=min(len(ended), total), description=f"{stack}: {name}")
        if bar.disable or status.endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "")
            out.note(f"{status.lower():<28} {name} {reason}".rstrip())

    with bar:
        yield told


def show_outputs(out: Output, stack: str, outputs: dict[str, str]) -> None:
    """What the stack says of itself."""
    rows = sorted(outputs.items())
    out.value({"stack": stack, "outputs": outputs}, table(("output", "value"), rows))
