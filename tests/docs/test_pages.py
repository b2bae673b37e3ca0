"""Every command a page quotes exists with those options; every file it names is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from chalicelib.cli.main import app
from tests.docs.pages import ROOT, blocks, command_in, pages, spoken

ROOT_COMMAND = typer.main.get_command(app)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"(?:docs|infra|tests|chalicelib|benchmarks)/[\w./-]+|[\w/-]+\.md")
# Made by a program, or of another repository.
NOT_HERE = {"infra/terraform/.terraform"}


def named(page: Path) -> str:
    """A page, for test ids."""
    return str(page.relative_to(ROOT))


def problems(words: list[str], whole: bool) -> str:
    """What is wrong with a quoted command; `whole`: it is a line to be typed, so nothing may be missing."""
    command: Any = ROOT_COMMAND
    context = command.context_class(command, info_name="causeway")
    rest = list(words)
    while hasattr(command, "get_command") and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return f"no command {rest[0]!r}"
        command = found
        context = command.context_class(command, info_name=rest.pop(0), parent=context)
    if hasattr(command, "get_command"):  # a group by itself: its default is meant, or the whole of it
        default = command.get_command(context, "list")
        if default is None or (not rest and not whole):
            return f"{command.name} takes no options by itself" if rest else ""
        command = default
    known = {option for one in command.params for option in one.opts} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    if unknown:
        return f"no option {unknown}"
    return _parsed(command, rest) if whole and "…" not in " ".join(rest) else ""


def _parsed(command: Any, words: list[str]) -> str:
    try:
        command.make_context("causeway", words)
    except Exception as problem:  # typer brings a click of its own, whose classes have no public name
        if not hasattr(problem, "format_message"):
            raise
        return str(problem.format_message())
    return ""


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_command_exists_with_its_options(page: Path) -> None:
    """In code blocks whole, in sentences as far as it is told."""
    text = page.read_text()
    wrong = []
    for lines, whole in ((blocks(text), True), (spoken(text), False)):
        for line in lines:
            words = command_in(line) if whole or line.startswith("causeway ") else None
            if words and (told := problems(words, whole)):
                wrong.append(f"{line}: {told}")

    assert wrong == []


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_file_named_is_there(page: Path) -> None:
    """Links, and paths between backticks."""
    text = page.read_text()
    links = [link for link in _LINK.findall(text) if "://" not in link]
    paths = [one for one in spoken(text) if _PATH.fullmatch(one)]
    places = (page.parent, ROOT, ROOT / "docs", ROOT / "docs" / "operations")
    absent = [one for one in [*links, *paths] if not any((place / one).exists() for place in places)]

    assert [one for one in absent if one not in NOT_HERE] == []


def test_the_check_itself_finds_what_is_wrong() -> None:
    """A command, an option, an argument that is not there."""
    assert "no command" in problems(["replicate"], whole=False)
    assert "no option" in problems(["status", "--wiat", "3"], whole=False)
    assert "Missing argument" in problems(["fullsync", "interval", "east"], whole=True)
    assert problems(["fullsync", "interval", "east", "1h"], whole=True) == ""
    assert command_in("    tar c x | causeway cp - s3://a/b     # a stream") == ["cp", "-", "s3://a/b"]
