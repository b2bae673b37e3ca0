"""What a failed call to DynamoDB means, and when it is tried again.

    Calls(sleep_ms, token).read(call) · .write(call, repeatable=…)

    Fate     what it says of the call              read               write
    CONFLICT a condition failed                    -                  Conflict
    AGAIN    it was not done, later it may be      tried again        tried again
    UNKNOWN  it may have been done                 tried again        again if repeatable,
                                                                      else Indeterminate
    CLOSED   no permission, no such table          Unavailable        Unavailable
    WRONG    DynamoDB cannot do such a call        Refused            Refused

Promise a write that was ever UNKNOWN ends done, in Conflict, or Indeterminate, never Unavailable
Limits  TRIES_MAX tries if not told otherwise; waits from WAIT_MS_FIRST, doubling, at most WAIT_MS_MAX,
        jittered by half
Source  DynamoDB "Error handling", "TransactWriteItems: idempotency"; botocore.exceptions.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
    SSLError,
)

from chalicelib.domain.errors import Conflict, Indeterminate, Refused, StoreDown, StoreError

TRIES_MAX = 8
WAIT_MS_FIRST = 20
WAIT_MS_MAX = 1000

T = TypeVar("T")


class Fate(Enum):
    """What became of a call that failed."""

    CONFLICT = "conflict"
    AGAIN = "again"
    UNKNOWN = "unknown"
    CLOSED = "closed"
    WRONG = "wrong"


_CODES = {
    "ConditionalCheckFailedException": Fate.CONFLICT,
    "TransactionConflictException": Fate.AGAIN,
    "ReplicatedWriteConflictException": Fate.AGAIN,
    "ThrottlingException": Fate.AGAIN,
    "Throttling": Fate.AGAIN,
    "ProvisionedThroughputExceededException": Fate.AGAIN,
    "RequestLimitExceeded": Fate.AGAIN,
    "TooManyRequestsException": Fate.AGAIN,
    "TransactionInProgressException": Fate.UNKNOWN,  # an earlier try with our token
    "ValidationException": Fate.WRONG,
    "SerializationException": Fate.WRONG,
    "IdempotentParameterMismatchException": Fate.WRONG,
    "ItemCollectionSizeLimitExceededException": Fate.WRONG,
}
_REASONS = {
    "ConditionalCheckFailed": Fate.CONFLICT,
    "TransactionConflict": Fate.AGAIN,
    "ThrottlingError": Fate.AGAIN,
    "ProvisionedThroughputExceeded": Fate.AGAIN,
}
_BEFORE_LEAVING = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)


def client_config(**more: Any) -> Config:
    """What a client must be made with: one try a call, for a repeated put may meet its own trace."""
    settings: dict[str, Any] = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "connect_timeout": 3,
        "read_timeout": 10,
        "max_pool_connections": 64,
        "tcp_keepalive": True,
    }
    return Config(**{**settings, **more})


def check_client(client: Any) -> None:
    """ValueError if the client would repeat calls behind our back."""
    retries = client.meta.config.retries or {}
    if retries.get("total_max_attempts") != 1:
        raise ValueError("the DynamoDB client retries by itself: make it with client_config()")


def fate_of(error: Exception) -> Fate:
    """What became of the call that raised `error`."""
    if isinstance(error, ClientError):
        return _fate_of_answer(error.response)
    if isinstance(error, _BEFORE_LEAVING):
        return Fate.AGAIN
    if isinstance(error, HTTPClientError | SSLError):
        return Fate.UNKNOWN
    if isinstance(error, NoCredentialsError):
        return Fate.CLOSED
    return Fate.WRONG if isinstance(error, ParamValidationError) else Fate.UNKNOWN


def _fate_of_answer(answer: Any) -> Fate:
    code = answer.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        return _fate_of_reasons(answer.get("CancellationReasons", ()))
    if code in _CODES:
        return _CODES[code]
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Fate.UNKNOWN if status >= 500 else Fate.CLOSED


def _fate_of_reasons(reasons: Any) -> Fate:
    """A failed condition outweighs what else hindered the transaction: again would be in vain."""
    fates = {_REASONS.get(r.get("Code"), Fate.WRONG) for r in reasons if r.get("Code") != "None"}
    for fate in (Fate.CONFLICT, Fate.WRONG, Fate.AGAIN):
        if fate in fates:
            return fate
    return Fate.AGAIN


class Calls:
    """Tries again, within bounds."""

    def __init__(
        self, sleep_ms: Callable[[int], None], token: Callable[[int], str], tries: int = TRIES_MAX
    ) -> None:
        self._sleep_ms = sleep_ms
        self._token = token
        self._tries = tries

    def read(self, call: Callable[[], T]) -> T:
        """What `call` answers."""
        last: Exception | None = None
        for n in range(self._tries):
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                last, fate = error, fate_of(error)
            if fate not in (Fate.AGAIN, Fate.UNKNOWN):
                raise _final(fate, last) from last
            self._wait(n)
        raise StoreDown(f"DynamoDB, {self._tries} tries: {last}") from last

    def write(self, call: Callable[[], object], *, repeatable: bool) -> None:
        """Have `call` done; `repeatable`: done twice it has one effect."""
        last: Exception | None = None
        unknown = False
        for n in range(self._tries):
            try:
                call()
                return
            except (ClientError, BotoCoreError) as error:
                last, fate = error, fate_of(error)
            unknown = unknown or fate is Fate.UNKNOWN
            if fate is Fate.CONFLICT:
                raise Conflict(str(last)) from last
            if unknown and not (repeatable and fate in (Fate.AGAIN, Fate.UNKNOWN)):
                raise Indeterminate(str(last)) from last
            if fate not in (Fate.AGAIN, Fate.UNKNOWN):
                raise _final(fate, last) from last
            self._wait(n)
        kind = Indeterminate if unknown else StoreDown
        raise kind(f"DynamoDB, {self._tries} tries: {last}") from last

    def _wait(self, n: int) -> None:
        """After try `n`; half of the wait is chance, so that rivals part."""
        half = min(WAIT_MS_FIRST << n, WAIT_MS_MAX) // 2
        self._sleep_ms(half + int(self._token(2), 16) * half // 0xFFFF)


def _final(fate: Fate, error: Exception) -> StoreError:
    return (Refused if fate is Fate.WRONG else StoreDown)(str(error))
