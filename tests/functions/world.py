"""Two sites of packaged functions, linked as an operator links them, over a MinIO that tells of documents.

    with two_sites(dynamodb, moto) as world:
        world.west, world.east          DeployedSite
        world.pump()                    deliver queues until nothing is left, as event source mappings do
        world.causeway(site, "failed")  the command, against a site's Function URL

MinIO's own notifications go by webhook to each site's Function URL, from there into its queue of documents,
from there to `on_documents`: nothing here tells a function of a document but the way that is tested.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3

from tests.e2e.relay import Relay
from tests.lambda_host.deployed import DeployedSite, FrontSite, deployed
from tests.services.run import Service, minio_server

BLOCK_SIZE = 64 * 1024
PUMP_S = 60.0
QUIET_S = 0.5  # nothing came for this long: MinIO's webhook has said what it had to say
QUEUES = ("OnDocuments", "FullsyncStep")


class World:
    """Two sites and what lies between them."""

    def __init__(self, west: DeployedSite, east: DeployedSite) -> None:
        self.west, self.east = west, east

    @property
    def sites(self) -> tuple[DeployedSite, DeployedSite]:
        """Both."""
        return self.west, self.east

    def pump(self, *names: str) -> int:
        """Let queues deliver until they are quiet; how many messages."""
        deadline, quiet_since, delivered = time.monotonic() + PUMP_S, time.monotonic(), 0
        while time.monotonic() - quiet_since < QUIET_S:
            assert time.monotonic() < deadline, "queues never get quiet"
            got = sum(site.host.poll(name).messages for site in self.sites for name in names or QUEUES)
            delivered += got
            if got:
                quiet_since = time.monotonic()
            else:
                time.sleep(0.05)
        return delivered

    def connect(self, *, tables: bool = True) -> None:
        """`causeway connect` and the link's switches: west streams to east, over its tables or its API."""
        east_keys = self.east.front("url").keys
        command = ["connect", "--sink", self.east.host.function_url, "--sink-access-key", east_keys[0]]
        command += ["--source-endpoint", self.west.host.function_url]
        if tables:
            command += ["--sink-tables", json.dumps(places(self.east))]
        self.causeway(self.west, *command, CAUSEWAY_SINK_SECRET_KEY=east_keys[1])
        self.causeway(self.west, "realtime", "enable", "east")
        self.causeway(self.west, "realtime", "start", "east")
        self.causeway(self.west, "proxy-get", "enable", "east")

    def causeway(self, site: DeployedSite, *arguments: str, status: int = 0, **variables: str) -> Any:
        """One command with --json; its answer."""
        keys = site.front("url").keys
        told = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH", "")])),
            "AWS_ACCESS_KEY_ID": keys[0],
            "AWS_SECRET_ACCESS_KEY": keys[1],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **variables,
        }
        command = [sys.executable, "-m", "chalicelib.cli.main", *arguments]
        done = subprocess.run(
            [*command, "--endpoint-url", site.host.function_url, "--json"],
            env=told,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def run_of(self, sink: str = "east") -> dict[str, Any]:
        """Where west's fullsync to a sink stands."""
        return self.west.front("url").admin("GET", f"links/{sink}/fullsync")

    def link(self, sink: str = "east") -> dict[str, Any]:
        """West's link to a sink, as `causeway status` has it."""
        links = self.west.front("url").admin("GET", "status")["links"]
        return next(each for each in links if each["site"] == sink)


def places(site: DeployedSite) -> dict[str, Any]:
    """A site's tables and bucket, as a link over tables describes them."""
    told = {name.removeprefix("CAUSEWAY_").lower(): value for name, value in site.settings().items()}
    region = told["blocks_region"]
    return {
        "dynamodb": {
            "prefix": told["dynamodb_prefix"],
            "region": region,
            "endpoint": told["dynamodb_endpoint"],
        },
        "bucket": {"name": told["blocks_bucket"], "region": region, "endpoint": told["blocks_endpoint"]},
        "leeway": told.get("leeway", "24h"),
    }


def store_of(site: DeployedSite) -> Any:
    """A boto3 client of the MinIO below a site."""
    told = site.settings()
    return boto3.client(
        "s3",
        endpoint_url=told["CAUSEWAY_BLOCKS_ENDPOINT"],
        region_name=told["CAUSEWAY_BLOCKS_REGION"],
        aws_access_key_id=told.get("CAUSEWAY_BLOCKS_ACCESS_KEY") or told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told.get("CAUSEWAY_BLOCKS_SECRET_KEY") or told["AWS_SECRET_ACCESS_KEY"],
    )


def bucket_keys(site: DeployedSite, prefix: str) -> list[str]:
    """What lies in a site's block bucket below `prefix`."""
    bucket = site.settings()["CAUSEWAY_BLOCKS_BUCKET"]
    pages = store_of(site).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))


def time_limit(site: DeployedSite, name: str, seconds: int) -> None:
    """Another time limit for a function; its next sandboxes know it."""
    function = site.host.functions[name]
    function.spec = dataclasses.replace(function.spec, timeout_s=seconds)
    site.host.forget_idle(name)


@contextmanager
def two_sites(dynamodb: Service, moto: Service, **settings: object) -> Iterator[World]:
    """West and east, with a MinIO of their own that calls both webhooks."""
    with ExitStack() as stack:
        lines = {name: stack.enter_context(Relay(0)) for name in ("west", "east")}
        tokens = {name: secrets.token_hex(24) for name in lines}
        minio = stack.enter_context(minio_server(environment=_webhooks(lines, tokens)))
        sites = []
        for name, line in lines.items():
            told = {"block_size": "64KiB", "primary": "west", "events_token": tokens[name], **settings}
            site = stack.enter_context(deployed(name, minio, dynamodb, moto, own_bucket=True, **told))
            line._target = urlsplit(site.host.function_url).port or 0
            _notify(site, name)
            sites.append(site)
        yield World(*sites)


def _webhooks(lines: dict[str, Relay], tokens: dict[str, str]) -> dict[str, str]:
    """MinIO's settings, one target for each site."""
    told = {}
    for name, line in lines.items():
        place = name.upper()
        told[f"MINIO_NOTIFY_WEBHOOK_ENABLE_{place}"] = "on"
        told[f"MINIO_NOTIFY_WEBHOOK_ENDPOINT_{place}"] = f"{line.url()}/causeway/events"
        told[f"MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_{place}"] = f"Bearer {tokens[name]}"
    return told


def _notify(site: DeployedSite, name: str) -> None:
    """Have the bucket tell of documents, as docs/operations/deploy.md does it with mc."""
    store_of(site).put_bucket_notification_configuration(
        Bucket=site.settings()["CAUSEWAY_BLOCKS_BUCKET"],
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": f"arn:minio:sqs::{name.upper()}:webhook",
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "manifests/"}]}},
                }
            ]
        },
    )


__all__ = ["FrontSite", "World", "bucket_keys", "places", "store_of", "time_limit", "two_sites"]
