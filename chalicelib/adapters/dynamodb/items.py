"""How rows and expectations are written in DynamoDB's words.

    item       pk (S) · sk (B) · val (B) · dig (B, 16 bytes: BLAKE2b of val)
    condition  attribute_not_exists(pk) for ABSENT · dig = :dig for a value · none for ANY

A condition sends 16 bytes where the value would be up to 128 KiB, twice a transaction's room.
Errors  none: sizes were checked by the port
Source  DynamoDB API Reference "Condition expressions", "Query".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from chalicelib.ports.metadata import (
    ABSENT,
    ANY,
    SORT_KEY_BYTES_MAX,
    Check,
    Expect,
    Put,
    RowId,
    Table,
    Write,
)

Words = dict[str, Any]


def table_name(prefix: str, table: Table) -> str:
    """The DynamoDB table that holds `table`."""
    return f"{prefix}-{table}"


def key_of(row: RowId) -> Words:
    """The primary key of a row."""
    return {"pk": {"S": row.pk}, "sk": {"B": row.sk}}


def value_of(item: Words | None) -> bytes | None:
    """The value an answer holds."""
    return bytes(item["val"]["B"]) if item else None


def transact_item(prefix: str, write: Write) -> Words:
    """One entry of TransactWriteItems."""
    if isinstance(write, Check):
        return {"ConditionCheck": removal(prefix, write)}
    return {"Put": put(prefix, write)} if isinstance(write, Put) else {"Delete": removal(prefix, write)}


def put(prefix: str, write: Put) -> Words:
    """The arguments of PutItem."""
    item = {**key_of(write.row), "val": {"B": write.value}, "dig": {"B": _digest(write.value)}}
    return {"TableName": table_name(prefix, write.row.table), "Item": item, **_condition(write.expect)}


def removal(prefix: str, write: Write) -> Words:
    """The arguments of DeleteItem, and of a check."""
    name = table_name(prefix, write.row.table)
    return {"TableName": name, "Key": key_of(write.row), **_condition(write.expect)}


def query(prefix: str, table: Table, pk: str, start: bytes, end: bytes | None) -> Words:
    """The arguments of a Query for at least the rows of [start, end), at most one more at each end.

    A key condition takes both bounds only as BETWEEN, which includes them; a bound longer than any
    sort key is cut, which keeps every row inside.
    """
    values: Words = {":pk": {"S": pk}}
    parts = ["pk = :pk"]
    if start:
        values[":start"] = {"B": start[:SORT_KEY_BYTES_MAX]}
    if end is not None:
        values[":end"] = {"B": end[:SORT_KEY_BYTES_MAX]}
    if len(values) == 3:
        parts.append("sk BETWEEN :start AND :end")
    elif len(values) == 2:
        parts.append("sk >= :start" if start else "sk <= :end")
    return {
        "TableName": table_name(prefix, table),
        "KeyConditionExpression": " AND ".join(parts),
        "ExpressionAttributeValues": values,
        "ProjectionExpression": "sk, val",
        "ConsistentRead": True,
    }


def needed(writes: Sequence[Write]) -> list[Write]:
    """Without the checks that hold whatever is there, which DynamoDB cannot say."""
    return [w for w in writes if not (isinstance(w, Check) and w.expect is ANY)]


def _condition(expect: Expect) -> Words:
    if expect is ANY:
        return {}
    if expect is ABSENT:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    assert isinstance(expect, bytes)
    return {
        "ConditionExpression": "dig = :dig",
        "ExpressionAttributeValues": {":dig": {"B": _digest(expect)}},
    }


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()
