"""A sink, east, whose tables and bucket a source applies over: nobody answers at its endpoint.

with sink_places(minio, dynamodb) as places:      as a link describes them
    east = sink_node(places)                      as its own functions would wire it
    link_over_tables(west, east, places)          west streams into them
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3

from chalicelib import bootstrap
from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.replication import setup
from chalicelib.replication.node import Node
from chalicelib.settings import Settings
from tests.services.run import Service

NOBODY = "https://127.0.0.1:9"
Places = dict[str, Any]


@contextmanager
def sink_places(minio: Service, dynamodb: Service) -> Iterator[Places]:
    """Made, and the tables gone afterwards."""
    name = f"east-{secrets.token_hex(6)}"
    same = replace(minio, endpoint=dynamodb.endpoint)  # one identity, as on AWS
    tables = boto3.client("dynamodb", **same.boto3_arguments())
    boto3.client("s3", **minio.boto3_arguments()).create_bucket(Bucket=name)
    create_tables(tables, name)
    yield {
        "dynamodb": {"prefix": name, "region": minio.region, "endpoint": dynamodb.endpoint},
        "bucket": {"name": name, "region": minio.region, "endpoint": minio.endpoint},
    }
    delete_tables(tables, name)


def sink_node(places: Places) -> Node:
    """The other site, with the credentials of the environment."""
    variables = {
        "CAUSEWAY_SITE": "east",
        "CAUSEWAY_PRIMARY": "west",
        "CAUSEWAY_BACKEND": "aws",
        "CAUSEWAY_MASTER_KEY": secrets.token_hex(32),
        "CAUSEWAY_BLOCKS_BUCKET": places["bucket"]["name"],
        "CAUSEWAY_BLOCKS_REGION": places["bucket"]["region"],
        "CAUSEWAY_BLOCKS_ENDPOINT": places["bucket"]["endpoint"],
        "CAUSEWAY_DYNAMODB_PREFIX": places["dynamodb"]["prefix"],
        "CAUSEWAY_DYNAMODB_ENDPOINT": places["dynamodb"]["endpoint"],
    }
    return bootstrap.build_function(Settings.from_environment(variables)).node


def link_over_tables(west: Node, east: Node, places: Places) -> None:
    """Both ends of the link; enabled and started."""
    secret = secrets.token_hex(32)
    for here, there, more in (
        (east, west, {"source": True, "prove": False}),
        (west, east, {"sink": True, "tables": json.dumps(places)}),
    ):
        key = there.site.vault.public_key().hex()
        wanted = setup.Wanted(there.site.id, NOBODY, secret, key, there.record.incarnation, **more)
        setup.connect(here, wanted)
    setup.realtime(west, "east", "enable")
    setup.realtime(west, "east", "start")
