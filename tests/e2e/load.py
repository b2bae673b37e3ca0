"""A mixed load on one site, and the client's own ledger of what the site acknowledged.

    load = Load(site, keys, prefix, seed); load.run(); …kill…; load.pause(); load.check()

Every actor has keys of its own, so that what a key may hold is known: the last acknowledged operation, or one
that broke off after it, whose answer was lost. `check` reads every key back through S3: nothing acknowledged
may be missing or wrong, and the listing shows the very keys that can be read.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.site_process import SiteProcess

ACTORS = 4
KEYS = 8  # of each actor
PART = 5 * 1024 * 1024
BROKEN = (BotoCoreError, ConnectionError)
# What a site may say while it dies, starts, or collects an upload that took longer than the tests' leeway.
EXCUSED = {"ServiceUnavailable", "SlowDown", "NoSuchUpload", "RequestTimeout"}

Value = tuple[str, str] | None  # SHA-256 of the body and the operation's own mark; None: nothing there


class Actor:
    """One client: an operation after another on its own keys."""

    def __init__(self, client: Any, bucket: str, prefix: str, seed: str) -> None:
        self._client = client
        self._bucket = bucket
        self._rng = random.Random(seed)
        self.may: dict[str, set[Value]] = {f"{prefix}/{n}": {None} for n in range(KEYS)}
        self.acknowledged: Counter[str] = Counter()
        self.broken_off = 0
        self.wrong: list[str] = []

    def act(self) -> bool:
        """One operation; False if it broke off."""
        what, weight = zip(*WHAT.items(), strict=True)
        name = self._rng.choices(what, weight)[0]
        key = self._rng.choice(list(self.may))
        mark = f"{name}-{self._rng.getrandbits(48):x}"
        try:
            getattr(self, f"_{name}")(key, mark)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code not in EXCUSED:
                self.wrong.append(f"{name}: {status} {code}: {error}")
        except BROKEN:
            pass
        else:
            self.acknowledged[name] += 1
            return True
        self.broken_off += 1
        return False

    def _write(self, key: str, value: Value, call: Callable[[], Any]) -> None:
        self.may[key].add(value)  # from now on it may be there, whatever we hear
        call()
        self.may[key] = {value}

    def _body(self, low: int, high: int) -> tuple[bytes, str]:
        body = self._rng.randbytes(self._rng.randint(low, high))
        return body, hashlib.sha256(body).hexdigest()

    def _put(self, key: str, mark: str, low: int, high: int) -> None:
        body, sha = self._body(low, high)
        put = {"Bucket": self._bucket, "Key": key, "Body": body, "Metadata": {"mark": mark}}
        self._write(key, (sha, mark), lambda: self._client.put_object(**put))

    def _inline(self, key: str, mark: str) -> None:
        self._put(key, mark, 0, 4096)

    def _blocks(self, key: str, mark: str) -> None:
        self._put(key, mark, 70_000, 700_000)

    def _delete(self, key: str, mark: str) -> None:
        self._write(key, None, lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def _copy(self, key: str, mark: str) -> None:
        """From a key whose value is known; onto itself it only changes metadata."""
        sure = [(each, value) for each, (value, *more) in self._known() if value and not more]
        if not sure:
            return
        source, value = self._rng.choice(sure)
        call = {
            "Bucket": self._bucket,
            "Key": key,
            "CopySource": {"Bucket": self._bucket, "Key": source},
            "Metadata": {"mark": mark},
            "MetadataDirective": "REPLACE",
        }
        self._write(key, (value[0], mark), lambda: self._client.copy_object(**call))

    def _known(self) -> list[tuple[str, list[Value]]]:
        return [(key, list(may)) for key, may in self.may.items()]

    def _multipart(self, key: str, mark: str, sizes: tuple[int, ...] = (0,)) -> None:
        """In parts; the first is sent twice, and the second attempt counts."""
        named = {"Bucket": self._bucket, "Key": key}
        named["UploadId"] = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=key, Metadata={"mark": mark}
        )["UploadId"]
        self._client.upload_part(PartNumber=1, Body=self._body(1, 200_000)[0], **named)
        bodies = [self._body(size or 1, size or 300_000)[0] for size in sizes]
        parts = [
            {"PartNumber": n, "ETag": self._client.upload_part(PartNumber=n, Body=body, **named)["ETag"]}
            for n, body in enumerate(bodies, 1)
        ]
        done = {"MultipartUpload": {"Parts": parts}, **named}
        sha = hashlib.sha256(b"".join(bodies)).hexdigest()
        self._write(key, (sha, mark), lambda: self._client.complete_multipart_upload(**done))

    def _large_multipart(self, key: str, mark: str) -> None:
        self._multipart(key, mark, (PART, 0))

    def _given_up(self, key: str, mark: str) -> None:
        """A multipart upload that is aborted, or left for GC to find."""
        made = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
        named = {"Bucket": self._bucket, "Key": key, "UploadId": made["UploadId"]}
        self._client.upload_part(PartNumber=1, Body=self._body(1, 200_000)[0], **named)
        if self._rng.random() < 0.5:
            self._client.abort_multipart_upload(**named)

    def check(self, key: str) -> str:
        """Read a key back; what is wrong with it. From now on it is known to hold what was found."""
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            body = found["Body"].read()
            value: Value = (hashlib.sha256(body).hexdigest(), found["Metadata"].get("mark", ""))
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                return f"{key}: {error}"
            value = None
        may, self.may[key] = self.may[key], {value}
        return "" if value in may else f"{key}: {value} is there, acknowledged was one of {may}"


WHAT = {
    "inline": 30,
    "blocks": 25,
    "delete": 15,
    "copy": 10,
    "multipart": 12,
    "large_multipart": 1,
    "given_up": 5,
}


class Load:
    """Some actors at work on one site, as long as they are not paused."""

    def __init__(self, site: SiteProcess, client: Any, bucket: str, seed: int) -> None:
        self._client = client
        self._bucket = bucket
        self.prefix = site.name
        self.actors = [Actor(client, bucket, f"{site.name}/{n}", f"{seed}/{n}") for n in range(ACTORS)]
        self._going = threading.Event()
        self._ended = threading.Event()
        self._resting = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._act, args=(one,), daemon=True) for one in self.actors]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._going.set()

    def _act(self, actor: Actor) -> None:
        self._going.wait()
        while not self._ended.is_set():
            if not actor.act():
                self._ended.wait(0.02)  # nobody may be there now
            if not self._going.is_set():
                self._resting.release()
                self._going.wait()

    def run(self) -> None:
        """Go on."""
        self._going.set()

    def pause(self) -> None:
        """Until every actor has its answer, good or bad."""
        self._going.clear()
        for _ in self.actors:
            assert self._resting.acquire(timeout=90), "an operation does not end"

    def check(self) -> None:
        """While paused: read everything back."""
        with ThreadPoolExecutor(8) as pool:
            checks = [pool.submit(actor.check, key) for actor in self.actors for key in actor.may]
            wrong = [told for check in checks if (told := check.result())]
        assert wrong == [] == [told for actor in self.actors for told in actor.wrong]
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self.prefix}/"
        )
        listed = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        assert listed == sorted(
            key for actor in self.actors for key, may in actor.may.items() if may != {None}
        )

    def acknowledged(self) -> Counter[str]:
        """How many operations of each kind succeeded."""
        return sum((actor.acknowledged for actor in self.actors), Counter())

    def broken_off(self) -> int:
        """How many did not."""
        return sum(actor.broken_off for actor in self.actors)
