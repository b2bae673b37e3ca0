"""Rows in DynamoDB, one table per Table.

    client_config()                   how the boto3 client must be made: it must not retry by itself
    DynamoMetadata(client, prefix, …) ports/metadata.py over it
    create_tables / delete_tables     for tests and for sites not made by infra/

Read    items.py (what is stored) · calls.py (what a failure means) · metadata.py
Source  DynamoDB API Reference; DESIGN §5 "Tables".
"""

from chalicelib.adapters.dynamodb.calls import client_config
from chalicelib.adapters.dynamodb.metadata import DynamoMetadata
from chalicelib.adapters.dynamodb.tables import create_tables, delete_tables

__all__ = ["DynamoMetadata", "client_config", "create_tables", "delete_tables"]
