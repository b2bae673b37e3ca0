"""A DynamoDB client that answers as the test says, one prepared answer per call."""

import secrets
import time
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


def seconds_asleep(ms: int) -> None:
    """Really sleep."""
    time.sleep(ms / 1000)


def token(nbytes: int) -> str:
    """Real chance."""
    return secrets.token_hex(nbytes)


def answer(code: str, status: int = 400, reasons: tuple[str, ...] = ()) -> ClientError:
    """An error as DynamoDB sends it."""
    response: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(response, "Call")


class ScriptedClient:
    """Every call takes the next prepared answer: an exception to raise or a value to give."""

    def __init__(self, *answers: Any) -> None:
        config = SimpleNamespace(retries={"total_max_attempts": 1})
        self.meta = SimpleNamespace(config=config)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._answers = list(answers)

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            prepared = self._answers.pop(0)
            if isinstance(prepared, Exception):
                raise prepared
            return prepared

        return call
