"""`causeway` in this process: a command line goes in, its exit status and what it said come out."""

import json
import socket
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from chalicelib.cli.main import app

OK, NO, USAGE, UNREACHABLE, REFUSED = range(5)
NO_SITE = {"AWS_ENDPOINT_URL": None, "CAUSEWAY_DATA": None}


@dataclass
class Ran:
    """How a command ended."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it said to a program."""
        return json.loads(self.out)


def run(*arguments: object, **environment: str | None) -> Ran:
    """One command line; a variable that is None is not set."""
    told = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, told, env=NO_SITE | environment, catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


def closed_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
