"""Packaged functions at work, each call compared with the role of the function that made it.

A real world of two sites; nothing here evaluates IAM on AWS, and what DynamoDB Local, MinIO and moto allow is
not asked: what counts is whether the role in the template would have.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.cli.deploy_template import FUNCTIONS
from chalicelib.domain.account import BucketState
from chalicelib.domain.forms import encode_bucket
from chalicelib.hosts.sandbox import _OTHERS, POWERS
from chalicelib.objects import accounts
from tests.functions.world import BLOCK_SIZE, World, places, two_sites
from tests.infra.roles import Allowed, allowed
from tests.infra.watching import Call, watched
from tests.lambda_host.packaging import Package, packaged
from tests.lambda_host.template import ACCOUNT
from tests.services.run import Service

BIG = secrets.token_bytes(3 * BLOCK_SIZE + 7)
EAST = {  # as west's stack would be told of the sink it writes to
    "SinkTablesArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/causeway-east",
    "SinkBucketArn": "arn:aws:s3:::causeway-east-blocks",
}


@pytest.fixture(scope="module")
def calls(lambda_runtime: object, dynamodb: Service, moto: Service) -> Iterator[set[Call]]:
    """Everything the functions of both sites asked for during a day's work."""
    with two_sites(dynamodb, moto, leeway="250ms", gc_hold="1s") as world, watched(world) as calls:
        _work(world)
        yield calls


def _work(world: World) -> None:
    """A bit of everything: clients, links, realtime over tables, fullsync, GC, dead letters."""
    east_keys = world.east.front("url").keys
    command = ["connect", "--sink", world.east.host.function_url, "--sink-access-key", east_keys[0]]
    command += ["--source-endpoint", world.west.host.function_url]
    command += ["--sink-tables", json.dumps(places(world.east))]
    world.causeway(world.west, *command, CAUSEWAY_SINK_SECRET_KEY=east_keys[1])
    for verb in ("enable", "start"):
        world.causeway(world.west, "realtime", verb, "east")
    world.causeway(world.west, "proxy-get", "enable", "east")
    for front in ("rest", "url"):
        _clients(world.west.front(front).boto3(), f"photos-{front}")
    world.pump()
    for _ in range(2):
        for site in world.sites:
            for schedule in ("Sweep", "Fullsync"):
                site.host.tick(schedule)
        world.pump()
    reader = world.east.front("url").boto3(keys=world.west.keys)
    assert reader.get_object(Bucket="photos-rest", Key="copy")["Body"].read() == BIG
    _dead_letters(world)
    _abandon(world, "photos-url-gone-half")
    for site in world.sites:
        site.host.tick("Collect")
    world.west.front("url").boto3().put_object(Bucket="photos-url-gone-half", Key="open again", Body=b"")


def _clients(s3: Any, bucket: str) -> None:
    """S3's verbs, and what is superseded for GC."""
    s3.create_bucket(Bucket=bucket)
    for body in (b"small", BIG[1:], BIG):
        s3.put_object(Bucket=bucket, Key="big", Body=body)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=BIG)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    left = s3.create_multipart_upload(Bucket=bucket, Key="left")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="left", UploadId=left, PartNumber=1, Body=BIG)
    s3.abort_multipart_upload(Bucket=bucket, Key="left", UploadId=left)
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == BIG
    s3.delete_object(Bucket=bucket, Key="parts")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    s3.create_bucket(Bucket=f"{bucket}-gone")
    s3.delete_bucket(Bucket=f"{bucket}-gone")


def _abandon(world: World, name: str) -> None:
    """A bucket as a DeleteBucket leaves it that died half an hour ago."""
    world.west.front("url").boto3().create_bucket(Bucket=name)
    site = world.west.wired().node.site
    bucket = next(each for each in accounts.named_buckets(site) if each.name == name)
    died = replace(bucket.stamp, ms=bucket.stamp.ms - 1_800_000)
    closing = replace(bucket, state=BucketState.CLOSING, stamp=died)
    accounts.save_bucket(site, bucket, closing, name_form=encode_bucket(bucket))


def _dead_letters(world: World) -> None:
    (mapping,) = world.west.host.mappings("OnDocuments")
    mapping._sqs.send_message(QueueUrl=mapping.url, MessageBody='{"poison": true}')
    world.pump("OnDocuments")
    (letter,) = world.causeway(world.west, "failed", "list", status=1)["letters"]
    world.causeway(world.west, "failed", "retry", letter["id"])
    world.pump("OnDocuments")
    (again,) = world.causeway(world.west, "failed", "list", status=1)["letters"]
    world.causeway(world.west, "failed", "drop", again["id"])


def admits(allowances: list[Allowed], call: Call) -> bool:
    """Whether a role allows a call; the master key's context and the site table's partitions are compared,
    the rest of conditions is AWS's."""
    fitting = [one for one in allowances if one.admits(call.action, call.resource)]
    if call.action.startswith("dynamodb:"):
        return any(not one.condition or call.context in one.condition[0][2] for one in fitting)
    if call.context:
        context = ("StringEquals", "kms:EncryptionContext:causeway:site", (call.context,))
        fitting = [one for one in fitting if context in one.condition]
    return bool(fitting)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_start_asks_for_what_the_role_allows(west: Package, function: str) -> None:
    """What a function tries at its start (hosts/sandbox.py) is what its role in the template says."""
    powers = POWERS.get(FUNCTIONS[function], _OTHERS)
    may = allowed(west, function)
    tables = {one.resource.rpartition("-")[2] for one in may if one.action == "dynamodb:PutItem"}
    actions = {one.action for one in may}

    assert powers.writes == tables
    assert powers.deletes == ("s3:DeleteObject" in actions)
    assert powers.bucket == ("s3:GetObject" in actions)
    founding = [one for one in may if one.action == "kms:GenerateDataKey" and "causeway:site" in str(one)]
    assert powers.founds == bool(founding)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_all_that_its_function_does(calls: set[Call], function: str) -> None:
    """No call of a day's work would have been answered AccessDenied."""
    made = sorted(call for call in calls if call.function == function)
    sink = {"west": EAST, "east": {}}
    denied = [
        call for call in made if not admits(allowed(packaged(call.stage), function, **sink[call.stage]), call)
    ]

    assert made and denied == []
