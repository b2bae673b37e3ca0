"""An ordinary S3 client at work: boto3, several threads, nothing that knows of Causeway."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.cli.demo_files import Ledger, Stored, sha256_of

THREADS = 6
LARGE = 32 * 1024 * 1024  # uploaded in parts from here on
_PIECE = 1024 * 1024
_TRANSFER = TransferConfig(multipart_threshold=LARGE, multipart_chunksize=LARGE, max_concurrency=3)
_WRONG_SHOWN = 5
Done = Callable[[int], None]  # told the bytes of each object that is through


@dataclass
class Seen:
    """What a check of one endpoint found."""

    objects: int = 0
    bytes: int = 0
    gone: int = 0
    wrong: list[str] = field(default_factory=list)


class Client:
    """One endpoint and a bucket, through boto3."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, bucket: str) -> None:
        self.bucket = bucket
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            # proxies={}: loopback is not reached through whatever proxy the environment names.
            config=Config(max_pool_connections=4 * THREADS, proxies={}, s3={"addressing_style": "path"}),
        )

    def put_all(self, ledger: Ledger, files: Iterable[tuple[str, Any]], done: Done) -> None:
        """Store files, each entered into the ledger once it is acknowledged."""
        lock = threading.Lock()

        def put(one: tuple[str, Any]) -> None:
            key, path = one
            stored = self._put(key, path)
            with lock:
                ledger.put(key, stored)
                done(stored.size)

        _each(put, files)

    def _put(self, key: str, path: Any) -> Stored:
        size = path.stat().st_size
        if size >= LARGE:
            self.s3.upload_file(str(path), self.bucket, key, Config=_TRANSFER)
            return Stored(path, sha256_of(path), size)
        body = path.read_bytes()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return Stored(path, hashlib.sha256(body).hexdigest(), len(body))

    def delete_all(self, ledger: Ledger, keys: Iterable[str]) -> None:
        """Delete objects, each entered into the ledger once it is acknowledged."""
        for key in keys:
            self.s3.delete_object(Bucket=self.bucket, Key=key)
            ledger.delete(key)

    def read(self, key: str, byte_range: str = "") -> bytes:
        """An object, or a range of it."""
        more = {"Range": byte_range} if byte_range else {}
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read())

    def keys(self) -> set[str]:
        """Every key the bucket lists."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {one["Key"] for page in pages for one in page.get("Contents", ())}

    def check(self, ledger: Ledger, done: Done) -> Seen:
        """Read every object of the ledger and compare; ask for every key that must be gone."""
        seen = Seen()
        lock = threading.Lock()

        def read(one: tuple[str, Stored]) -> None:
            key, stored = one
            size, why = self._compare(key, stored)
            with lock:
                seen.objects += 1
                seen.bytes += size
                if why:
                    seen.wrong.append(f"{key}: {why}")
                done(size)

        def ask(key: str) -> None:
            there = self._is_there(key)
            with lock:
                seen.gone += not there
                if there:
                    seen.wrong.append(f"{key}: was deleted and is there")

        # The largest first, so that the threads end together.
        _each(read, sorted(ledger.stored.items(), key=lambda item: -item[1].size))
        _each(ask, sorted(ledger.deleted))
        listed = self.keys()
        seen.wrong += [f"{key}: listed and not ours" for key in sorted(listed - ledger.stored.keys())]
        seen.wrong += [f"{key}: not listed" for key in sorted(ledger.stored.keys() - listed)]
        return seen

    def _compare(self, key: str, stored: Stored) -> tuple[int, str]:
        sha256, size = hashlib.sha256(), 0
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]
            for piece in body.iter_chunks(_PIECE):
                sha256.update(piece)
                size += len(piece)
        except Exception as problem:  # noqa: BLE001 - whatever went wrong, this object was not read
            return size, f"{type(problem).__name__}: {problem}"
        return size, "" if sha256.hexdigest() == stored.sha256 else "other bytes than were stored"

    def _is_there(self, key: str) -> bool:
        try:
            self.s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError as answer:
            if answer.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True


def _each(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        try:
            for _ in threads.map(work, items):
                pass
        except BaseException:  # Ctrl-C too: what has not begun never will
            threads.shutdown(wait=False, cancel_futures=True)
            raise
