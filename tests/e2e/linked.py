"""Sites linked as an operator links them, and what tests ask of them again and again.

line = connect(west, east)             west streams to east, over two relays: line.cut(), line.heal()
wait_until(lambda: …)                  polls; the assertion names what did not come true
contents(client, bucket)               every key with size, ETag, SHA-256, metadata, over the endpoint
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.relay import Relay
from tests.site_process import SiteProcess

BLOCK_SIZE = 64 * 1024  # the smallest there is: many blocks of few bytes
SETTINGS = {"block_size": "64KiB", "log_level": "info"}
WAIT_S = 60.0
STATUS_EVERY_S = 0.3  # a status reads the whole outbox: asking all the time would be a load of its own


class Line:
    """The link of two sites: a relay for each direction, and for the sink's stores if it is applied there."""

    def __init__(self, source: SiteProcess, sink: SiteProcess) -> None:
        self.source = source
        self.sink = sink
        self.there = Relay(sink.port)
        self.back = Relay(source.port)

        self._relays = [self.there, self.back]

    def tables(self) -> str:
        """What the source is told to apply over the tables and bucket of an aws sink."""
        dynamodb, bucket = self._to("dynamodb_endpoint"), self._to("blocks_endpoint")
        return json.dumps(
            {
                "dynamodb": {"prefix": self.sink.setting("dynamodb_prefix"), "endpoint": dynamodb},
                "bucket": {"name": self.sink.setting("blocks_bucket"), "endpoint": bucket},
            }
        )

    def _to(self, endpoint: str) -> str:
        self._relays.append(Relay(urlsplit(self.sink.setting(endpoint)).port or 80))
        return self._relays[-1].url()

    def cut(self) -> None:
        """Neither side reaches the other any more."""
        for relay in self._relays:
            relay.cut()

    def heal(self) -> None:
        """Both do again."""
        for relay in self._relays:
            relay.heal()


def connect(
    source: SiteProcess,
    sink: SiteProcess,
    *,
    both_ways: bool = False,
    tables: bool = False,
    start: bool = True,
) -> Line:
    """Link two sites over relays, `tables` to apply over the sink's; `start` switches everything on."""
    line = Line(source, sink)
    secret = secrets.token_hex(32)
    told = [(sink, source, line.back, both_ways, True), (source, sink, line.there, True, both_ways)]
    for here, there, relay, is_sink, is_source in told:
        who = there.admin("GET", "site")
        here.admin(
            "POST",
            "links",
            site=who["site"],
            endpoint=relay.url(there.scheme),
            secret=secret,
            public_key=who["public_key"],
            incarnation=who["incarnation"],
            sink=is_sink,
            source=is_source,
            prove=here is source,
            **({"tables": line.tables()} if tables and here is source else {}),
        )
    if start:
        for here, there in [(source, sink), (sink, source)][: 1 + both_ways]:
            switch(here, there, "realtime", "enable")
            switch(here, there, "realtime", "start")
            switch(here, there, "proxy-get", "enable")
    return line


def switch(source: SiteProcess, sink: SiteProcess, what: str, action: str, **fields: Any) -> dict[str, Any]:
    """One switch of the link to `sink`: what is realtime, proxy-get or fullsync."""
    return source.admin("POST", f"links/{sink.name}/{what}", action=action, **fields)


def link_of(site: SiteProcess, other: SiteProcess) -> dict[str, Any]:
    """The link as `causeway status` shows it."""
    return next(link for link in site.admin("GET", "status")["links"] if link["site"] == other.name)


def wait_until(
    true: Callable[[], Any], what: str = "", seconds: float = WAIT_S, every_s: float = 0.05
) -> Any:
    """Poll until `true` is; S3 and HTTP errors count as not yet."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = true()
            if last:
                return last
        except (ClientError, BotoCoreError, OSError) as problem:
            last = problem
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or true} (last: {last!r})"
        time.sleep(every_s)


def wait_caught_up(source: SiteProcess, sink: SiteProcess, seconds: float = WAIT_S) -> dict[str, Any]:
    """Until the sink holds everything that is owed to it."""

    names = ("caught_up", "backfilling", "records_behind", "blocks_behind", "error")
    link: dict[str, Any] = {}

    def caught_up() -> bool:
        link.update(link_of(source, sink))
        return link["caught_up"]

    try:
        wait_until(caught_up, f"{source.name} caught up with {sink.name}", seconds, STATUS_EVERY_S)
    except AssertionError as late:
        late.add_note(str({name: link.get(name) for name in names}))
        raise
    return link


def fullsync(source: SiteProcess, sink: SiteProcess, seconds: float = 60.0, **fields: Any) -> dict[str, Any]:
    """One run to its end; the run."""
    began = switch(source, sink, "fullsync", "start", **fields)["started_ms"]

    def ended() -> dict[str, Any] | None:
        run = source.admin("GET", f"links/{sink.name}/fullsync")
        return run if run["started_ms"] >= began and run["state"] != "running" else None

    return wait_until(ended, f"fullsync to {sink.name}", seconds)


def contents(client: Any, bucket: str) -> dict[str, tuple[Any, ...]]:
    """Every key of a bucket as a client reads it: size, ETag, SHA-256 of its bytes, metadata."""
    keys = [
        entry["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for entry in page.get("Contents", [])
    ]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(keys, pool.map(lambda key: read(client, bucket, key), keys), strict=True))


def read(client: Any, bucket: str, key: str) -> tuple[Any, ...]:
    """One object as `contents` shows it."""
    found = client.get_object(Bucket=bucket, Key=key)
    body = found["Body"].read()
    sha = hashlib.sha256(body).hexdigest()
    return len(body), found["ETag"], sha, found["ContentType"], tuple(sorted(found["Metadata"].items()))


def body_of(client: Any, bucket: str, key: str) -> bytes:
    """An object's bytes."""
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def error_of(call: Callable[[], Any]) -> str:
    """The S3 error code a call ends with, "" if it succeeds."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""
