"""What a command shows of what a site said: nothing that a terminal would obey, in JSON or for people."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Group
from rich.progress import Progress, TextColumn

from chalicelib.cli import failed, fullsync, status
from chalicelib.cli.output import Output, table, visible

# Sets a title, writes the clipboard, clears the screen; C1's CSI; DEL; right-to-left; half a pair; backspace.
EVIL = "\x1b]0;owned\x07 \x1b]52;c;ZXZpbA==\x07 \x1b[2J \x9b31m \x7f \u202e \ud800 \x08"
OBEYED = [letter for letter in EVIL if not letter.isprintable()]


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def out(request: pytest.FixtureRequest) -> Output:
    """An output to people; on a terminal it has sequences of its own."""
    made = Output(as_json=False)
    for console in (made.console, made.notes):
        console.file = io.StringIO()
        console._force_terminal = request.param
        console.width = 300
    return made


def written(out: Output) -> str:
    return out.console.file.getvalue() + out.notes.file.getvalue()  # type: ignore[attr-defined]


def own(text: str) -> str:
    """Without the styles that rich itself writes on a terminal."""
    for sequence in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\r"):
        text = text.replace(sequence, "")
    return text


def harmless(out: Output) -> bool:
    text = own(written(out))
    return "owned" in text and not any(letter in text for letter in OBEYED)


@pytest.mark.parametrize(
    "show",
    [
        lambda out: out.failed("Refused", EVIL),
        lambda out: out.note(EVIL),
        lambda out: out.value(None, EVIL),
        lambda out: out.value(None, table(("a", ">b"), [(EVIL, "x")])),
        lambda out: out.console.print(Group(EVIL, table(("a",), [(EVIL,)])), markup=False),
    ],
    ids=["failed", "note", "value", "table", "group"],
)
def test_nothing_to_be_obeyed(out: Output, show: Any) -> None:
    """Whichever way it is shown."""
    show(out)
    assert harmless(out)


def test_a_progress_bar(out: Output) -> None:
    """Its description is a Text of its own making."""
    with Progress(TextColumn("{task.description}", markup=False), console=out.notes) as bar:
        bar.add_task(EVIL)
    assert harmless(out)


def test_how_far_a_fullsync_is(out: Output) -> None:
    """The site's counts are not rich's markup either: that makes links."""
    tally = dict.fromkeys(("compared", "buckets", "entries", "applied", "completed", "bytes"), 1)
    run = {"state": "complete", "dry_run": False, "cursor": {"phase": "done"}, "tally": tally}
    tally["entries"] = f"[link=x]owned[/link]{EVIL}"  # type: ignore[assignment]

    class Site:
        """Says so."""

        def get(self, *path: str) -> dict[str, Any]:
            return run

    out.console.width = 300
    fullsync.follow(Site(), "east", out)  # type: ignore[arg-type]
    text = own(written(out))
    assert "\x1b]8" not in text and ("[link=x]owned" in text) == out.console.is_terminal


def test_texts_of_ours(out: Output) -> None:
    """Lines stay lines, and letters of any language stay."""
    text = "two\nlines → größer 大 …"
    out.value(None, text)
    out.note(text)
    assert written(out).replace("\x1b[2m", "").replace("\x1b[0m", "") == f"{text}\n{text}\n"


def test_no_row_of_its_own(out: Output) -> None:
    """A cell is one line."""
    out.value(None, table(("a",), [("x\nforged\u2028row\x85end",)]))
    assert "x forged row end" in written(out)


def test_what_is_seen() -> None:
    """What a terminal may obey is replaced, and blanks of every kind are blanks."""
    assert visible("a\x1bb\x9bc\x00d") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c" + (
        "\N{REPLACEMENT CHARACTER}d"
    )
    assert visible("a\rb\u2028c\xa0d\x85e\te\n") == "a b c d e\te\n"


def test_every_word_of_a_dead_letter(out: Output) -> None:
    """Not only what the message was about."""
    letter = {"id": EVIL, "queue": EVIL, "tries": EVIL, "age_ms": 5, "body": EVIL, "reason": EVIL}
    item = {"sink": EVIL, "stage": EVIL, "kind": EVIL, "name": EVIL, "tries": 3, "age_ms": 5, "error": EVIL}
    out.console.width = 2000
    out.value(None, *failed._pictured({"letters": [letter], "items": [item], "more": False}))
    assert harmless(out)


def test_a_status_watched(out: Output) -> None:
    """It goes past `value`."""
    found = {"site": EVIL, "endpoint": EVIL, "primary": EVIL, "incomplete": 0, "links": []}
    out.console.print(Group(*status.pictured(found)), markup=False)
    assert harmless(out)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For machines everything stands there, escaped."""
    out = Output(as_json=True)
    out.value({"name": EVIL})
    out.failed("Refused", "a\x1bb\x9bc\x7f")
    text = capsys.readouterr().out
    assert text.isascii() and "\x1b" not in text and "\x7f" not in text
    first, _, second = text.partition("\n}\n")
    assert json.loads(first + "}")["name"] == EVIL
    assert json.loads(second)["message"] == "a\x1bb\x9bc\x7f"
