"""The Markdown of the repository, and the commands it quotes.

pages()              README, docs/, infra/ and READMEs beside the code
blocks(text)         lines of code blocks, fenced or indented, continuation lines joined
spoken(text)         `…` within sentences
command_in(line)     the words of the causeway command in a line, or None
"""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_COMMAND = re.compile(r"(?:^|[|;&]\s*|\s)(?:\$ )?(?:[A-Z_]+=\S+ )*(causeway [a-z].*)$")


def pages() -> list[Path]:
    """Every page."""
    found = [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "infra").rglob("*.md")),
    ]
    return [*found, *sorted((ROOT / "tests").rglob("README.md"))]


def blocks(text: str) -> list[str]:
    """Lines of code, in order."""
    lines, fenced, before = [], False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and not re.match(r"\s*([-*]|\d+\.) ", line)):
            before += line.strip()
            if before.endswith("\\"):
                before = before[:-1]
                continue
            lines.append(before)
        before = ""
    return lines


def spoken(text: str) -> list[str]:
    """What stands between backticks outside of code blocks."""
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith("    "))
    return [found.replace("\n", " ") for found in re.findall(r"`([^`]+)`", prose)]


def command_in(line: str) -> list[str] | None:
    """What follows `causeway`, without comments and without what it is piped into."""
    found = _COMMAND.search(line)
    if not found or "://" in line.partition("causeway ")[0]:
        return None
    text = re.split(r"\s{2,}|\s#", found[1])[0]
    try:
        words = shlex.split(text)[1:]
    except ValueError:
        return None
    for stop in ("|", "&&", ";", "&"):
        if stop in words:
            words = words[: words.index(stop)]
    return words
