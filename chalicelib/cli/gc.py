"""`causeway gc`: one garbage collection now."""

from __future__ import annotations

import typer

from chalicelib.cli.command import At, command
from chalicelib.cli.failure import Exit, Failure


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "gc", "causeway gc", "causeway gc --data west --json")
    def gc(at: At) -> None:
        """Collect blocks that nothing names any more and whose leeway has passed.

        It runs by itself; this runs it now. Exits with 1 when it could not look at everything.
        """
        report = at.site.post("gc")
        at.out.value(
            report,
            f"collected {report['collected']} uploads, {report['blocks']} blocks; "
            f"closed {report['closed']} more, held {report['held']} that a sink still needs",
            *(f"problem: {problem}" for problem in report["problems"]),
        )
        if report["problems"]:
            raise Failure(Exit.NO, "")
