"""Whether a site's tables can be used, asked at a start: what is wrong with each, in words for the operator.

    rows()                            a row that is not there of every table, for one get of them all
    writable(client, prefix, tables)  whether rows may be put into all of `tables`; nothing is
    problems(client, prefix, region, tables)   table by table, once either has failed: [] or sentences

Sees    missing tables, wrong keys of tables, permissions to read and to put rows, credentials, a service
        that does not answer. Not: permissions to query, delete and check rows, granted along with these
Source  DynamoDB API Reference: TransactGetItems, TransactWriteItems, "Common Errors".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters.dynamodb.items import key_of, table_name
from chalicelib.ports.metadata import RowId, Table

NO_ANSWER = "DynamoDB"
_NEVER = "attribute_exists(pk) AND attribute_not_exists(pk)"
_PK = "probe"
# Apart from each other: a start that reads meets another's row under way as a conflict.
_READ, _WRITTEN = b"probe", b"written"
_BUSY = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"})
_CREDENTIALS = {
    "UnrecognizedClientException": "the credentials are not valid",
    "InvalidSignatureException": "the credentials are not valid",
    "MissingAuthenticationTokenException": "the credentials are not valid",
    "IncompleteSignatureException": "the credentials are not valid",
    "ExpiredTokenException": "the credentials have expired",
}


def rows() -> list[RowId]:
    """Nobody writes them."""
    return [RowId(table, _PK, _READ) for table in Table]


def writable(client: Any, prefix: str, tables: Collection[Table]) -> bool:
    """Tried by a transaction whose conditions are never true: it needs the permission and changes nothing."""
    if not tables:
        return True
    try:
        client.transact_write_items(TransactItems=[{"Put": _put(prefix, table)} for table in tables])
    except ClientError as error:
        return _code(error) == "TransactionCanceledException" and _refused_only(error)
    except BotoCoreError:
        return False
    return True


def problems(client: Any, prefix: str, region: str, tables: Collection[Table]) -> list[str]:
    """What hinders the site; `tables` are to be written, too."""
    found: list[str] = []
    for table in Table:
        for verb, call in _calls(client, prefix, table, table in tables):
            told = _told(call, table_name(prefix, table), verb, region)
            if told is not None and told not in found:
                found.append(told)
            if told is not None and told.startswith(NO_ANSWER):
                return found  # nor will it for the other tables, and a start has 10 s
            if told is not None:
                break  # a table that cannot be read is not tried further
    return found


def _refused_only(error: ClientError) -> bool:
    """Whether only conditions failed, as they must, or another start tried the same."""
    reasons: Any = error.response.get("CancellationReasons", ())
    expected = {"ConditionalCheckFailed", "TransactionConflict", "None"}
    return all(reason.get("Code") in expected for reason in reasons)


def _calls(client: Any, prefix: str, table: Table, writes: bool) -> Iterable[tuple[str, Any]]:
    yield (
        "GetItem",
        lambda: client.get_item(TableName=table_name(prefix, table), Key=_key(table, _READ)),
    )
    if writes:
        yield "PutItem", lambda: client.put_item(**_put(prefix, table))


def _told(call: Any, table: str, verb: str, region: str) -> str | None:
    try:
        call()
    except ClientError as error:
        code, message = _code(error), str(error.response.get("Error", {}).get("Message", ""))
        if code == "ConditionalCheckFailedException" or code in _BUSY:
            return None
        if code in _CREDENTIALS:
            return f"DynamoDB: {_CREDENTIALS[code]} ({code})"
        if code == "ResourceNotFoundException":
            return f"table {table}: there is no such table in {region}"
        if code == "AccessDeniedException":
            return f"table {table}: grant dynamodb:{verb} on it to whoever runs this ({message})"
        return f"table {table}: {verb} is answered {code}: {message}"
    except BotoCoreError as error:
        return f"{NO_ANSWER} in {region} cannot be used: {error}"
    return None


def _key(table: Table, sort: bytes) -> Any:
    return key_of(RowId(table, _PK, sort))


def _put(prefix: str, table: Table) -> dict[str, Any]:
    item = _key(table, _WRITTEN)
    return {"TableName": table_name(prefix, table), "Item": item, "ConditionExpression": _NEVER}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
