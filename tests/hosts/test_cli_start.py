"""The first minutes: a directory that cannot be made, and which Causeway this is."""

import re
from pathlib import Path

from tests.command import NO, OK, USAGE, closed_port, run


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The directory is what is wrong, not the port."""
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "west"
    ran = run("serve", "--site", "west", "--port", closed_port(), "--data", data)
    assert ran.exit == USAGE
    said = "cannot be made: Not a directory; make it first, or choose another directory"
    assert f"--data {data} {said}" in ran.err


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    """The file, not the port."""
    log = tmp_path / "none" / "log"
    ran = run("serve", "--site", "west", "--port", closed_port(), "--data", tmp_path, "--log-file", log)
    assert ran.exit == NO and f"cannot serve with {log}: No such file" in ran.err


def test_which_version() -> None:
    """Of the package that is installed."""
    ran = run("--version")
    assert ran.exit == OK and re.fullmatch(r"causeway \d+\.\d+\S*\n", ran.out)
