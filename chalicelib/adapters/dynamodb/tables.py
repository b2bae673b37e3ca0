"""Making and removing a site's tables.

    create_tables(client, prefix) · delete_tables(client, prefix)

Promise either may be called again; both return when DynamoDB says it is so
Errors  botocore's own: whoever calls this stands at a terminal
Source  infra/ makes the same tables with backups and alarms; DynamoDB "CreateTable".
"""

from __future__ import annotations

from typing import Any

from chalicelib.adapters.dynamodb.items import table_name
from chalicelib.ports.metadata import Table

_POLL = {"Delay": 1, "MaxAttempts": 120}  # a table takes seconds, at times a minute


def create_tables(client: Any, prefix: str) -> list[str]:
    """Make the tables that are not there and wait until all can be used; the names of those made."""
    made = []
    names = [table_name(prefix, table) for table in Table]
    for name in names:
        try:
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "B"},
                ],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )
        except client.exceptions.ResourceInUseException:
            continue  # it is there, or somebody is making it
        made.append(name)
    for name in names:
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_POLL)
    return made


def delete_tables(client: Any, prefix: str) -> None:
    """Remove the tables and wait until all are gone."""
    names = [table_name(prefix, table) for table in Table]
    for name in names:
        try:
            client.delete_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            continue
    for name in names:
        client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig=_POLL)
