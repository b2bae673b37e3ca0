"""How a command ends: what its exit status means, and the one line that says what to do next."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses; scripts may rely on them."""

    OK = 0
    NO = 1  # it was carried out and the answer is no: not caught up, a check failed
    USAGE = 2  # the command was given wrongly; nothing was asked
    UNREACHABLE = 3  # a site, or the primary behind it, did not answer
    REFUSED = 4  # a site said no
    BUG = 70  # EX_SOFTWARE: our mistake
    INTERRUPTED = 130  # Ctrl-C


class Failure(Exception):
    """A command ends with `exit` and the message; `code` is for --json."""

    def __init__(self, exit_status: Exit, message: str, code: str = "") -> None:
        super().__init__(message)
        self.exit = exit_status
        self.code = code or exit_status.name.capitalize()


def usage(message: str) -> Failure:
    """The command was given wrongly."""
    return Failure(Exit.USAGE, message)
