"""What DynamoMetadata makes of every way a call can fail."""

from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from chalicelib.adapters.dynamodb import DynamoMetadata
from chalicelib.adapters.dynamodb.calls import TRIES_MAX, WAIT_MS_MAX
from chalicelib.domain.errors import Conflict, Indeterminate, Refused, Unavailable
from chalicelib.ports.metadata import ABSENT, ANY, Check, Put, RowId, Table
from tests.adapters.dynamodb_double import ScriptedClient, answer, token

ROW = RowId(Table.KEYS, "p", b"row")
OTHER = RowId(Table.LISTING, "p", b"row")
ONE = [Put(ROW, b"1", ABSENT)]
TWO = [Put(ROW, b"1", ABSENT), Put(OTHER, b"2")]

THROTTLED = answer("ThrottlingException")
RIVAL = answer("TransactionCanceledException", reasons=("None", "TransactionConflict"))
FAILED = answer("TransactionCanceledException", reasons=("ConditionalCheckFailed", "None"))
BOTH = answer("TransactionCanceledException", reasons=("TransactionConflict", "ConditionalCheckFailed"))
UNDER_WAY = answer("TransactionInProgressException")
BROKEN = answer("InternalServerError", 500)
SPENT = answer("ServiceUnavailable", 503)
DENIED = answer("AccessDeniedException")
SENSELESS = answer("ValidationException")
UNREACHED = EndpointConnectionError(endpoint_url="x")
NOT_CONNECTED = ConnectTimeoutError(endpoint_url="x")
NO_ANSWER = ReadTimeoutError(endpoint_url="x")
CUT = ConnectionClosedError(endpoint_url="x")
DONE: dict[str, Any] = {}


class Case:
    """An adapter over prepared answers, and how long it waited."""

    def __init__(self, *answers: Any) -> None:
        self.waits: list[int] = []
        self.client = ScriptedClient(*answers)
        self.metadata = DynamoMetadata(self.client, "s", sleep_ms=self.waits.append, token=token)


@pytest.mark.parametrize("failure", [THROTTLED, UNREACHED, NOT_CONNECTED, RIVAL])
def test_what_was_not_done_is_tried_again(failure: Exception):
    """Refused before it was done: tried again, then done."""
    for writes in (ONE, TWO):
        case = Case(failure, failure, DONE)

        case.metadata.transact(writes)

        assert 3 == len(case.client.calls)
        assert 2 == len(case.waits)


@pytest.mark.parametrize("failure", [THROTTLED, UNREACHED, NOT_CONNECTED, RIVAL])
def test_tries_come_to_an_end(failure: Exception):
    """Tries are bounded, waits grow and are bounded, and the end is Unavailable."""
    case = Case(*[failure] * TRIES_MAX)

    with pytest.raises(Unavailable):
        case.metadata.transact(TWO)

    assert TRIES_MAX == len(case.waits)
    assert case.waits[0] < case.waits[3] < case.waits[-1] <= WAIT_MS_MAX


@pytest.mark.parametrize("failure", [NO_ANSWER, CUT, BROKEN, SPENT, UNDER_WAY])
def test_a_transaction_in_doubt_is_repeated_with_its_token(failure: Exception):
    """A transaction's token makes a second try safe; another transaction has another token."""
    case = Case(failure, DONE, DONE)

    case.metadata.transact(TWO)
    case.metadata.transact(TWO)

    first, again, next_one = (c[1]["ClientRequestToken"] for c in case.client.calls)
    assert first == again != next_one
    assert len(first) <= 36


@pytest.mark.parametrize("failure", [NO_ANSWER, CUT, BROKEN, SPENT])
def test_a_single_write_in_doubt_stays_in_doubt(failure: Exception):
    """A put has no token: repeated it could meet its own trace and call it a conflict."""
    case = Case(failure)

    with pytest.raises(Indeterminate):
        case.metadata.transact(ONE)


@pytest.mark.parametrize("after", [THROTTLED, RIVAL, UNREACHED, NO_ANSWER])
def test_once_in_doubt_never_unavailable(after: Exception):
    """Whatever comes after a lost answer, running out of tries is Indeterminate."""
    case = Case(NO_ANSWER, *[after] * TRIES_MAX)

    with pytest.raises(Indeterminate):
        case.metadata.transact(TWO)


def test_in_doubt_and_then_shut_out_is_in_doubt():
    """Permission lost between two tries says nothing of the first."""
    case = Case(NO_ANSWER, DENIED)

    with pytest.raises(Indeterminate):
        case.metadata.transact(TWO)


@pytest.mark.parametrize("failure", [FAILED, BOTH])
def test_a_failed_condition_is_conflict(failure: Exception):
    """One failed condition is Conflict at once, whatever else hindered the transaction."""
    case = Case(failure)

    with pytest.raises(Conflict):
        case.metadata.transact(TWO)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(DENIED, Unavailable), (NoCredentialsError(), Unavailable), (SENSELESS, Refused)],
)
def test_what_cannot_succeed_is_not_repeated(failure: Exception, kind: type[Exception]):
    """No permission, no credentials, no sense: said at once."""
    with pytest.raises(kind):
        Case(failure).metadata.transact(ONE)
    with pytest.raises(kind):
        Case(failure).metadata.get([ROW])


@pytest.mark.parametrize("failure", [THROTTLED, NO_ANSWER, BROKEN, RIVAL])
def test_reads_are_repeated(failure: Exception):
    """A read may be done as often as need be, within bounds."""
    found = {"Item": {"val": {"B": b"1"}}}

    assert [b"1"] == Case(failure, found).metadata.get([ROW])
    both = {"Responses": [found, {}]}
    assert [b"1", None] == Case(failure, both).metadata.get([ROW, OTHER])
    assert [] == Case(failure, {"Items": []}).metadata.scan(Table.KEYS, "p")
    with pytest.raises(Unavailable):
        Case(*[failure] * TRIES_MAX).metadata.get([ROW])


def test_one_write_is_no_transaction():
    """A single Put or Delete costs a put, a check of ANY nothing, all else a transaction."""
    case = Case(DONE, DONE)

    case.metadata.transact([*ONE, Check(OTHER, ANY)])
    case.metadata.transact([Check(OTHER, ANY)])
    case.metadata.transact([Check(OTHER, ABSENT)])

    assert ["put_item", "transact_write_items"] == [name for name, _ in case.client.calls]


def test_every_read_is_consistent():
    """No read may be older than an acknowledged write."""
    case = Case({}, {"Items": []})

    case.metadata.get([ROW])
    case.metadata.scan(Table.KEYS, "p")

    assert [True, True] == [arguments["ConsistentRead"] for _, arguments in case.client.calls]
