"""What a command shows: JSON for scripts, tables and sentences for people.

Results go to standard output, notes and failures of the human form to standard error. With --json the
one JSON value on standard output is all there is, a failure too: {"error": code, "message": …}.

What a site says may be anything, and a terminal obeys what it is told: an escape sequence can change its
title, its clipboard, what stands on it. So no console of an Output writes a character that is not to be seen;
JSON escapes them (and everything beyond ASCII) by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200  # a line that goes into a file is not cut to a terminal's width
UNSEEN = "\N{REPLACEMENT CHARACTER}"


class Output:
    """Where a command writes."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = _console(stderr=False)
        self.notes = _console(stderr=True)

    def value(self, value: Any, *human: Any) -> None:
        """The result: `value` as JSON, or what stands for it for people."""
        if self.as_json:
            print(json.dumps(value, indent=1))
            return
        for one in human:
            self.console.print(one, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """A word beside the result; not in JSON."""
        if not self.as_json:
            self.notes.print(text, highlight=False, markup=False, style="dim")

    def failed(self, code: str, message: str) -> None:
        """Why the command ends."""
        line = " ".join(message.split())
        if self.as_json:
            print(json.dumps({"error": code, "message": line}))
            return
        self.notes.print(f"causeway: {line}", highlight=False, markup=False, soft_wrap=True)


class _Seen(Console):
    """Shows text, and nothing else, of whatever it is given."""

    def render_str(self, text: str, **how: Any) -> Text:
        """A text, before its place on the line is measured."""
        return super().render_str(visible(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever else is shown: what made its own Text, a progress bar's description, comes by here."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(visible(one.text), one.style)


def _console(*, stderr: bool) -> Console:
    console = _Seen(stderr=stderr)
    return console if console.is_terminal else _Seen(stderr=stderr, width=PIPE_WIDTH)


def visible(text: str) -> str:
    """`text` without what a terminal may obey: controls (C0 and C1), marks of direction, halves of pairs.
    Newlines and tabs stay: texts of ours have them."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t":
        return letter
    return " " if letter.isspace() else UNSEEN


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table; a column whose name begins with ">" is aligned right. A cell is one line: what a site
    says cannot look like a row of its own."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(" ".join(cell.splitlines()) for cell in row))
    return made


def yes(value: object) -> str:
    """A truth for people."""
    return "yes" if value else "no"


def counted(number: int, what: str) -> str:
    """A number and its noun."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(count: float) -> str:
    """Bytes for people, in binary units."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def duration(ms: int) -> str:
    """A duration for people."""
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
