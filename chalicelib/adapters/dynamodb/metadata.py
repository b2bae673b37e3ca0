"""Rows in DynamoDB.

    DynamoMetadata(client, prefix, shards, sleep_ms, token)   ports/metadata.py over nine tables

    client    boto3's, made with client_config()
    sleep_ms  how to wait before another try · token  n random bytes as 2n hex digits

Promise every read is consistent; a transaction's tries carry one token, so it is done once
Errors  Conflict · Unavailable · Indeterminate · Refused: more than DynamoDB takes at once (4 MB a get)
Limits  100 items a transaction (DynamoDB's); see calls.py for tries and waits
Source  DynamoDB API Reference: TransactWriteItems, TransactGetItems, Query; DESIGN §5 "Tables";
        contract: tests/conformance/metadata.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chalicelib.adapters.dynamodb.calls import TRIES_MAX, Calls, check_client
from chalicelib.adapters.dynamodb.items import (
    key_of,
    needed,
    put,
    query,
    removal,
    table_name,
    transact_item,
    value_of,
)
from chalicelib.ports.metadata import (
    Check,
    Put,
    RowId,
    Table,
    Write,
    check_rows,
    check_scan,
    check_writes,
)

ITEMS_MAX = 100  # TransactWriteItems, TransactGetItems
SHARDS = 8  # a partition takes 1,000 writes a second
_TOKEN_BYTES = 16  # 32 hex digits of the 36 characters a ClientRequestToken may have


class DynamoMetadata:
    """The rows of one site, in DynamoDB."""

    def __init__(
        self,
        client: Any,
        prefix: str,
        shards: int = SHARDS,
        *,
        sleep_ms: Callable[[int], None],
        token: Callable[[int], str],
        tries: int = TRIES_MAX,
    ) -> None:
        check_client(client)
        self.items_max = ITEMS_MAX
        self.shards = shards
        self.checks_contend = True
        self._client = client
        self._prefix = prefix
        self._token = token
        self._calls = Calls(sleep_ms, token, tries)

    def get(self, rows: Sequence[RowId]) -> list[bytes | None]:
        """The values of `rows` in the order asked, None where there is no row."""
        check_rows(rows, ITEMS_MAX)
        different = list(dict.fromkeys(rows))  # DynamoDB takes no row twice
        if not different:
            return []
        values = [self._get_one(rows[0])] if len(different) == 1 else self._get_several(different)
        found = dict(zip(different, values, strict=True))
        return [found[row] for row in rows]

    def transact(self, writes: Sequence[Write]) -> None:
        """Do all of `writes` or, raising, none."""
        check_writes(writes, ITEMS_MAX)
        left = needed(writes)
        if len(left) == 1 and not isinstance(left[0], Check):
            self._write_one(left[0])
        elif left:
            self._write_several(left)

    def scan(
        self,
        table: Table,
        pk: str,
        *,
        start: bytes = b"",
        after: bool = False,
        end: bytes | None = None,
        limit: int = 1000,
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` (sk, value) with start ≤ sk < end; start < sk if `after`."""
        check_scan(pk, limit)
        if end is not None and end <= start:
            return []
        found: list[tuple[bytes, bytes]] = []
        asked = query(self._prefix, table, pk, start, end)
        while True:
            asked["Limit"] = limit - len(found) + 2  # the bounds themselves may come along
            page = self._calls.read(partial(self._client.query, **asked))
            for item in page["Items"]:
                sk = bytes(item["sk"]["B"])
                if (start < sk or (sk == start and not after)) and (end is None or sk < end):
                    found.append((sk, bytes(item["val"]["B"])))
            if len(found) >= limit or "LastEvaluatedKey" not in page:
                return found[:limit]
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _get_one(self, row: RowId) -> bytes | None:
        call = partial(
            self._client.get_item,
            TableName=table_name(self._prefix, row.table),
            Key=key_of(row),
            ProjectionExpression="val",
            ConsistentRead=True,
        )
        return value_of(self._calls.read(call).get("Item"))

    def _get_several(self, rows: Sequence[RowId]) -> list[bytes | None]:
        items = [
            {
                "Get": {
                    "TableName": table_name(self._prefix, row.table),
                    "Key": key_of(row),
                    "ProjectionExpression": "val",
                }
            }
            for row in rows
        ]
        answer = self._calls.read(partial(self._client.transact_get_items, TransactItems=items))
        return [value_of(response.get("Item")) for response in answer["Responses"]]

    def _write_one(self, write: Write) -> None:
        """Half the price of a transaction, but no token: a lost answer stays lost."""
        if isinstance(write, Put):
            call = partial(self._client.put_item, **put(self._prefix, write))
        else:
            call = partial(self._client.delete_item, **removal(self._prefix, write))
        self._calls.write(call, repeatable=False)

    def _write_several(self, writes: Sequence[Write]) -> None:
        call = partial(
            self._client.transact_write_items,
            TransactItems=[transact_item(self._prefix, write) for write in writes],
            ClientRequestToken=self._token(_TOKEN_BYTES),
        )
        self._calls.write(call, repeatable=True)
