"""A program that packaging needs, run to its end.

Errors  Failure(NO): it failed; the message ends with the last of what it said
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from chalicelib.cli.failure import Exit, Failure

SAID_CHARS_MAX = 2000


def finished(what: str, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path) -> None:
    """Run `command`; `what` is what it would mean if it failed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Failure(Exit.NO, f"{what}: {done.stdout[-SAID_CHARS_MAX:].strip()}")
