"""What one request costs its stores: each call of DynamoDB and of the bucket, and its capacity units.

    python -m benchmarks.functions.calls        counts, and writes benchmarks/functions/calls.json

The functions run in this process over real DynamoDB Local and MinIO; botocore's own events count. Capacity is
what DynamoDB Local says it took (ReturnConsumedCapacity), which doubles transactions as AWS does. Linked
requests are counted apart: at the source when one is answered, at both sites when record and blocks go over.
`ms` is the median of ROUNDS, of a warm function in this process, with no front and no network before it.
Source  DynamoDB "Read and write operations"; benchmarks/cost.py turns this into money.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import boto3
import botocore.session

from tests.hosts.fronts import FunctionUrl, through
from tests.hosts.functions_site import FunctionsSite, on_services
from tests.hosts.over_tables import link_over_tables, sink_node, sink_places
from tests.services.run import Service, dynamodb_local, minio_server

KEPT = Path(__file__).with_name("calls.json")
SMALL, LARGE = 4 << 10, 4 << 20  # in the record; one block, the most a function takes
ROUNDS = 7
LISTED = 1000
WRITES = {"TransactWriteItems", "PutItem", "DeleteItem"}
Plain = dict[str, Any]


class Counted:
    """Calls since the last `take`."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._units: Counter[str] = Counter()
        self._spent: dict[str, list[float]] = {}
        self.found: dict[str, Plain] = {}

    def watch(self, client: Any) -> None:
        """Count what this client does from now on."""
        service = client.meta.service_model.service_name
        if service == "dynamodb":
            client.meta.events.register("provide-client-params.dynamodb", _ask_for_capacity)
        client.meta.events.register(f"after-call.{service}", self._note)

    def _note(self, model: Any, parsed: Plain, **_: Any) -> None:
        self._calls[model.name] += 1
        found = parsed.get("ConsumedCapacity") or []
        kind = "write_units" if model.name in WRITES else "read_units"
        for one in [found] if isinstance(found, dict) else found:
            # AWS bills a unit for a consistent Query that finds nothing, DynamoDB Local does not.
            self._units[kind] += max(one["CapacityUnits"], 1.0 if model.name == "Query" else 0.0)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep what is done meanwhile as what `name` takes; its time is the median of all times so named."""
        self._calls.clear()
        self._units.clear()
        begun = time.perf_counter()
        yield
        spent = self._spent.setdefault(name, [])
        spent.append((time.perf_counter() - begun) * 1000)
        units = {"read_units": 0, "write_units": 0} | dict(self._units)
        calls = dict(sorted(self._calls.items()))
        self.found[name] = {"calls": calls, **units, "ms": round(statistics.median(spent), 1)}


def _ask_for_capacity(params: Plain, model: Any, **_: Any) -> None:
    if "ReturnConsumedCapacity" in model.input_shape.members:
        params["ReturnConsumedCapacity"] = "TOTAL"


@contextmanager
def watched(places: set[str]) -> Iterator[Counted]:
    """Counts what any client does at these endpoints that is made while this is open."""
    counted = Counted()
    made = botocore.session.Session.create_client

    def create_client(self: Any, *arguments: Any, **more: Any) -> Any:
        client = made(self, *arguments, **more)
        if client.meta.endpoint_url in places:
            counted.watch(client)
        return client

    with mock.patch.object(botocore.session.Session, "create_client", create_client):
        yield counted


def count(minio: Service, dynamodb: Service) -> dict[str, Plain]:
    """Request → what it took."""
    with watched({minio.endpoint, dynamodb.endpoint}) as counted:
        with on_services("west", minio, dynamodb, CAUSEWAY_PRIMARY="west") as west:
            _requests(west, counted)
        with ExitStack() as stack:
            linked = stack.enter_context(on_services("west", minio, dynamodb, CAUSEWAY_PRIMARY="west"))
            # Over the sink's tables: what the sink's own function would write and read is counted here.
            places = stack.enter_context(sink_places(minio, dynamodb))
            link_over_tables(linked.node, sink_node(places), places)
            _linked(linked, minio, counted)
    return counted.found


def _client(site: FunctionsSite) -> Any:
    s3 = through(FunctionUrl(), site.url, *site.keys, site.region)
    s3.create_bucket(Bucket="counted")
    s3.put_object(Bucket="counted", Key="warm", Body=b"warm")  # user, bucket and links are known from here
    return s3


def _requests(site: FunctionsSite, counted: Counted) -> None:
    s3 = _client(site)
    for name, size in (("4 KiB", SMALL), ("4 MiB", LARGE)):
        for n in range(ROUNDS):
            at, body = {"Bucket": "counted", "Key": f"{n}-of-{size}"}, os.urandom(size)
            with counted.of(f"PUT {name}"):
                s3.put_object(**at, Body=body)
            with counted.of(f"GET {name}"):
                s3.get_object(**at)["Body"].read()
            with counted.of(f"HEAD {name}"):
                s3.head_object(**at)
            with counted.of(f"DELETE {name}"):
                s3.delete_object(**at)
    for n in range(LISTED):
        s3.put_object(Bucket="counted", Key=f"listed/{n:04}", Body=b"")
    for _ in range(ROUNDS):
        with counted.of("LIST 1,000 keys"):
            s3.list_objects_v2(Bucket="counted", Prefix="listed/")
    event = site.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
    site.client.lambda_.invoke("sweep", event)  # folds what was written
    site.client.lambda_.invoke("sweep", event)
    for n in range(ROUNDS):
        with counted.of("sweep, nothing due"):
            site.client.lambda_.invoke("sweep", event)
        s3.put_object(Bucket="counted", Key=f"folded-{n}", Body=b"")
        with counted.of("sweep, one change folded"):
            site.client.lambda_.invoke("sweep", event)
        site.client.lambda_.invoke("sweep", event)


def _linked(site: FunctionsSite, minio: Service, counted: Counted) -> None:
    s3 = _client(site)
    store = boto3.client("s3", **minio.boto3_arguments())
    bucket = os.environ["CAUSEWAY_BLOCKS_BUCKET"]
    _serve(site, _documents(store, bucket))
    for name, size in (("4 KiB", SMALL), ("4 MiB", LARGE)):
        for n in range(ROUNDS):
            before, body = _documents(store, bucket), os.urandom(size)
            with counted.of(f"PUT {name}, owed to a sink"):
                s3.put_object(Bucket="counted", Key=f"{n}-of-{size}", Body=body)
            new = _documents(store, bucket) - before
            with counted.of(f"{name} to a sink, at both sites"):
                _serve(site, new)
    assert list(site.node.outbox("east").all()) == []


def _serve(site: FunctionsSite, documents: set[str]) -> None:
    """What is owed goes over, as the bucket's event has it go."""
    told = [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": quote(one)}}} for one in documents]
    site.client.lambda_.invoke("on_documents", {"Records": told})


def _documents(store: Any, bucket: str) -> set[str]:
    return {one["Key"] for one in store.list_objects_v2(Bucket=bucket, Prefix="manifests/")["Contents"]}


def main() -> None:
    """Count and keep."""
    with minio_server() as minio, dynamodb_local() as dynamodb:
        KEPT.write_text(json.dumps(count(minio, dynamodb), indent=1) + "\n")
    print(KEPT.read_text())


if __name__ == "__main__":
    main()
