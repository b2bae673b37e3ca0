"""Measures packaged functions in the Lambda host of tests.

    python -m benchmarks functions                        everything
    python -m benchmarks functions --only cold -n 5       cold start beside the baseline, quickly

Exit    0 within the limits · 1 not · 3 a service is not installed
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from benchmarks.functions import cold, warm
from benchmarks.functions.baseline import baseline
from benchmarks.functions.report import Found, write_markdown
from tests.lambda_host import LambdaSite
from tests.lambda_host.deployed import DeployedSite, deployed
from tests.services.install import Missing
from tests.services.run import dynamodb_local, minio_server, moto_server

KIB = 1 << 10
OBJECTS = {"4 KiB, inline in its record": 4 * KIB, "64 KiB, in a block": 64 * KIB}
BUCKET = "bench"


def main(arguments: list[str]) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks functions", description=__doc__)
    parser.add_argument("-n", "--repeats", type=int, default=9, help="cold starts of each (%(default)s)")
    parser.add_argument("--requests", type=int, default=500, help="warm ones of each (%(default)s)")
    parser.add_argument("--only", choices=("cold", "functions", "warm"), help="one part")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables between their markers"
    )
    asked = parser.parse_args(arguments)
    found = Found(asked.repeats, os.getloadavg()[0])
    try:
        with _sites() as (ours, theirs):
            _measure(ours, theirs, asked, found)
    except Missing as reason:
        print(reason)
        return 3
    print("\n".join(found.lines()))
    if asked.markdown:
        write_markdown(found, asked.markdown)
    return 0 if found.reached else 1


def _measure(ours: DeployedSite, theirs: LambdaSite, asked: argparse.Namespace, found: Found) -> None:
    paths = _objects(ours)
    found.zips = ours.package.zips
    if asked.only in (None, "cold"):
        found.baseline, first = cold.beside_the_baseline(ours, theirs, paths, asked.repeats)
        found.first = list(first.values())
    if asked.only in (None, "functions"):
        path = next(iter(paths.values()))
        found.functions = cold.of_every_function(ours, path, max(2, asked.repeats // 3))
    if asked.only in (None, "warm"):
        found.warm = warm.measure(ours, BUCKET, asked.requests)


@contextmanager
def _sites() -> Iterator[tuple[DeployedSite, LambdaSite]]:
    """Ours and the baseline's, over the same services; nothing of either is compiled before it starts."""
    with (
        tempfile.TemporaryDirectory() as place,
        minio_server() as minio,
        dynamodb_local() as dynamodb,
        moto_server() as moto,
    ):
        keys = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
        with deployed("west", minio, dynamodb, moto, compiled=False) as ours:
            told = ours.settings()
            environment = keys | {
                "DYNAMODB_ENDPOINT": dynamodb.endpoint,
                "S3_ENDPOINT": minio.endpoint,
                "BUCKET": told["CAUSEWAY_BLOCKS_BUCKET"],
                "TABLE": f"baseline-{secrets.token_hex(4)}",
            }
            _prepare(minio, dynamodb, environment)
            with baseline(ours.package, Path(place, "baseline"), environment) as theirs:
                yield ours, theirs


def _prepare(minio, dynamodb, environment: dict[str, str]) -> None:
    keys = {"aws_access_key_id": minio.access_key, "aws_secret_access_key": minio.secret_key}
    region = "us-west-2"  # the functions'; DynamoDB Local keeps regions apart
    tables = boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, region_name=region, **keys)
    tables.create_table(
        TableName=environment["TABLE"],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    store = boto3.client("s3", **minio.boto3_arguments())
    store.put_object(Bucket=environment["BUCKET"], Key="baseline", Body=os.urandom(4 * KIB))


def _objects(ours: DeployedSite) -> dict[str, str]:
    s3 = ours.front("url").boto3()
    s3.create_bucket(Bucket=BUCKET)
    for size in OBJECTS.values():
        s3.put_object(Bucket=BUCKET, Key=f"o{size}", Body=os.urandom(size))
    return {name: f"/{BUCKET}/o{size}" for name, size in OBJECTS.items()}
