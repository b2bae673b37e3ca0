"""Blocks as objects of a bucket in MinIO or S3.

    <prefix>blocks/<2 hex>/<upload>/<attempt>/<number>      one block
    <prefix>manifests/…                                     documents

S3Direct presigned URLs for the same blocks, and what the store vouches for (ports/direct.py)

Promise  every write carries its SHA-256, which the store checks before it answers and keeps
Needs    s3:ListBucket: without it S3 answers 403, not 404, for what is not there; an unversioned
         bucket; a client made with `client_config`, which never retries: one call, one try, so that
         the errors are true. RetryingBlocks stands around this store
Errors   refused with a 4xx, or never sent: Unavailable · anything else: Indeterminate if it writes,
         Unavailable if it reads (a truncated answer too) · 507: NoRoom. Never by message text
Source   AWS "Checking object integrity"; DESIGN §5; contracts: tests/conformance/blocks.py, direct.py.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from chalicelib.domain.errors import Indeterminate, NoRoom, StoreDown, StoreError, Unavailable
from chalicelib.domain.filing import check_block, check_document, check_token, fan_out
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.blocks import Buffer
from chalicelib.ports.direct import Presigned, Vouched

PASSES_MAX = 10_000  # of `delete_upload`, 1,000 blocks each: seven times the largest object
_TAIL = re.compile(r"([^/]+)/(0|[1-9][0-9]*)")
_FAILED = (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError)
_NEVER_SENT = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
)
_ABSENT = frozenset({"NoSuchKey"})  # NoSuchBucket is no answer about a block
_ABSENT_HEAD = frozenset({"404", "NoSuchKey"})  # a HEAD's answer has no body to say more in
# Signed with a PUT where the store heeds headers that are not: MinIO makes a copy of it, over what is there,
# given x-amz-copy-source, checks no SHA-256 given another algorithm, and keeps the block as somebody's
# replica, under tags or in another class if told so. AWS refuses unsigned x-amz-*.
_GUARDS = {
    "x-amz-checksum-algorithm": "SHA256",
    "x-amz-copy-source-if-match": "none",
    "x-amz-storage-class": "STANDARD",
    "x-amz-tagging": "",
    "x-minio-source-replication-request": "false",
}
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")
SHA256_BYTES = 32
ASK_MS = 10_000  # nobody who asks for URLs waits for a store that another has just asked in vain
_SHA256_CHARS = 44  # of base64; a composite one ends in "-N" and is of no use here


def client_config() -> Config:
    """How the client of this store is to be configured, for MinIO and S3 alike."""
    return Config(
        signature_version="s3v4",
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=32,
        connect_timeout=3,
        read_timeout=20,
        tcp_keepalive=True,
        # We send SHA-256 ourselves, where the port needs it, and verify blocks by their own hash.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # x-amz-checksum-sha256 is a signed header: hashing the body again to sign it adds nothing.
        s3={"payload_signing_enabled": False},
    )


def direct_config(bucket: str, endpoint: str) -> Config:
    """How a client that presigns is to be configured. On AWS (`endpoint` "") the SDK would name the global
    endpoint, which redirects for a young bucket of another region: a URL has to name the bucket's own."""
    if endpoint or "." in bucket:  # no certificate covers a bucket's name with a dot
        return client_config()
    return client_config().merge(Config(s3={"addressing_style": "virtual", "payload_signing_enabled": False}))


class S3Blocks:
    """The blocks of one site in `bucket`, under `prefix` (empty, or ending in `/`)."""

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """File a block."""
        self._write(self._name(block_id), body)

    def get(self, ref: BlockRef) -> bytes | None:
        """The block's bytes."""
        return self._read(self._name(ref.id))

    def link(self, source: BlockId, target: BlockId) -> bool:
        """The store's own copy."""
        name, origin = self._name(target), self._name(source)
        with _asking(writes=True):
            try:
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=name,
                    CopySource={"Bucket": self._bucket, "Key": origin},
                )
            except ClientError as problem:
                if _code(problem) in _ABSENT:
                    return False
                raise
        return True

    def delete(self, block_id: BlockId) -> None:
        """Remove one block."""
        self._remove(self._name(block_id))

    def delete_upload(self, upload: str) -> None:
        """Remove by prefix until a listing is empty."""
        prefix = self._upload_prefix(upload)
        for _ in range(PASSES_MAX):
            with _asking(writes=True):
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
                names = [entry["Key"] for entry in page.get("Contents", [])]
                if not names:
                    return
                self._remove_all(names)
        raise Indeterminate(f"{prefix} is written to faster than it can be removed")

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Blocks and sizes, in the order of their names."""
        prefix = self._upload_prefix(upload)
        for page in self._pages(Prefix=prefix):
            for entry in page.get("Contents", []):
                match = _TAIL.fullmatch(entry["Key"][len(prefix) :])
                if match is not None:
                    yield BlockId(upload, match[1], int(match[2])), entry["Size"]

    def uploads(self) -> Iterator[str]:
        """The names between the fan-out and the attempts: one listed entry per upload."""
        for outer in self._below(f"{self._prefix}blocks/"):
            for inner in self._below(outer):
                yield inner[len(outer) : -1]

    def put_document(self, name: str, body: bytes) -> None:
        """Write a document."""
        self._write(self._prefix + check_document(name), body)

    def get_document(self, name: str) -> bytes | None:
        """Read a document."""
        return self._read(self._prefix + check_document(name))

    def delete_document(self, name: str) -> None:
        """Remove a document."""
        self._remove(self._prefix + check_document(name))

    def _upload_prefix(self, upload: str) -> str:
        return _upload_prefix(self._prefix, upload)

    def _name(self, block_id: BlockId) -> str:
        return _name(self._prefix, block_id)

    def _write(self, name: str, body: Buffer) -> None:
        digest = b64encode(sha256(body).digest()).decode()
        # botocore takes no memoryview, and sends `Expect: 100-continue`, a round trip, for a stream.
        sent = body if isinstance(body, bytes) else bytes(body)
        with _asking(writes=True):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=sent, ChecksumSHA256=digest)

    def _read(self, name: str) -> bytes | None:
        with _asking(writes=False):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=name)
            except ClientError as problem:
                if _code(problem) in _ABSENT:
                    return None
                raise
            with answer["Body"] as stream:
                body: bytes = stream.read()
        if len(body) != answer["ContentLength"]:
            raise Unavailable(f"{len(body)} of {answer['ContentLength']} bytes of {name} came")
        return body

    def _remove(self, name: str) -> None:
        with _asking(writes=True):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def _remove_all(self, names: list[str]) -> None:
        """At most 1,000 of them; the answer is 200 whatever became of each."""
        answer = self._client.delete_objects(
            Bucket=self._bucket,
            Delete={"Objects": [{"Key": name} for name in names], "Quiet": True},
        )
        failed = [e for e in answer.get("Errors", []) if e.get("Code") not in _ABSENT]
        if failed:
            first = failed[0]
            raise Indeterminate(
                f"{len(failed)} of {len(names)} not removed: {first.get('Key')} {first.get('Code')}"
            )

    def _below(self, prefix: str) -> Iterator[str]:
        for page in self._pages(Prefix=prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", []):
                yield entry["Prefix"]

    def _pages(self, **question: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            with _asking(writes=False):
                page = self._client.list_objects_v2(Bucket=self._bucket, **question, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


def _upload_prefix(prefix: str, upload: str) -> str:
    return f"{prefix}blocks/{fan_out(upload)}/{check_token(upload)}/"


def _name(prefix: str, block_id: BlockId) -> str:
    check_block(block_id)
    return f"{_upload_prefix(prefix, block_id.upload)}{block_id.attempt}/{block_id.number}"


class S3Direct:
    """The same blocks for whoever holds a URL. `public` gives a client for the endpoint that others see,
    `client` one for ours: made at each use, so that who never presigns need not have them. `asked` says
    whether a store refuses what is unsigned (s3_unsigned)."""

    def __init__(
        self,
        client: Callable[[], Any],
        public: Callable[[], Any],
        asked: Callable[[Any, str, str], bool],
        now_ms: Callable[[], int],
        bucket: str,
        prefix: str = "",
    ) -> None:
        self._client = client
        self._public = public
        self._asked = asked
        self._now_ms = now_ms
        self._bucket = bucket
        self._prefix = prefix
        self._safe = False
        self._asks = Lock()
        self._ask_again_ms, self._no_answer = 0, ""

    def refuses_unsigned(self) -> bool:
        """AWS does. Others are asked, every ASK_MS until they say so: operators mend it while we run."""
        if self._safe:
            return True
        with self._asks:
            if not self._safe and self._now_ms() >= self._ask_again_ms:
                self._ask()
            if self._no_answer:
                raise StoreDown(self._no_answer)
        return self._safe

    def _ask(self) -> None:
        self._no_answer = ""
        try:
            with _asking(writes=False):
                client = self._client()
                self._safe = _is_aws(client) or self._asked(client, self._bucket, self._unsigned)
        except StoreError as problem:
            self._no_answer = str(problem)
        self._ask_again_ms = self._now_ms() + ASK_MS

    def presign_put(self, block_id: BlockId, size: int, sha256: bytes, expires_s: int) -> Presigned:
        """Length and hash are signed headers, so the store takes no other bytes; what is there stays."""
        if len(sha256) != SHA256_BYTES:
            raise ValueError("a SHA-256 has 32 bytes")
        digest = b64encode(sha256).decode()
        with _asking(writes=False):
            guards = self._guards()
        url = self._presigned(
            "put_object",
            expires_s,
            Key=_name(self._prefix, block_id),
            ContentLength=size,
            ChecksumSHA256=digest,
            IfNoneMatch="*",
        )
        named = {"content-length": str(size), "if-none-match": "*", "x-amz-checksum-sha256": digest}
        return Presigned(url, named | guards)

    def _guards(self) -> dict[str, str]:
        """Headers that every PUT to this store has to be signed with."""
        client = self._public()
        if _is_aws(client):
            return {}
        client.meta.events.register("before-sign.s3.PutObject", _guard, unique_id=_guard.__name__)
        return _GUARDS

    def presign_get(self, block_id: BlockId, expires_s: int) -> Presigned:
        """Nothing but the block."""
        return Presigned(self._presigned("get_object", expires_s, Key=_name(self._prefix, block_id)), {})

    def _presigned(self, verb: str, expires_s: int, **what: Any) -> str:
        with _asking(writes=False):  # credentials may have to be fetched
            url: str = self._public().generate_presigned_url(
                verb, Params={"Bucket": self._bucket, **what}, ExpiresIn=expires_s
            )
        return url

    def vouched(self, block_id: BlockId) -> Vouched | None:
        """HEAD: the store computed the SHA-256 when it took the block."""
        with _asking(writes=False):
            try:
                head = self._client().head_object(
                    Bucket=self._bucket, Key=_name(self._prefix, block_id), ChecksumMode="ENABLED"
                )
            except ClientError as problem:
                if _code(problem) in _ABSENT_HEAD:
                    return None
                raise
        value = head.get("ChecksumSHA256", "")
        digest = b64decode(value) if len(value) == _SHA256_CHARS else b""
        return Vouched(head["ContentLength"], digest)

    @property
    def _unsigned(self) -> str:
        """What is asked with, where blocks are; the store is left without it either way."""
        return _name(self._prefix, BlockId("unsigned", "d0", 0))


def _is_aws(client: Any) -> bool:
    return (urlsplit(client.meta.endpoint_url).hostname or "").endswith(_AWS_HOSTS)


def _guard(request: Any, **_: Any) -> None:
    for name, value in _GUARDS.items():
        request.headers[name] = value


@contextmanager
def _asking(writes: bool) -> Iterator[None]:
    try:
        yield
    except _FAILED as problem:
        raise _named(problem, writes) from problem


def _named(problem: Exception, writes: bool) -> StoreError:
    """The error of ours that says what is known about the effect."""
    told = f"{type(problem).__name__}: {problem}"
    if isinstance(problem, ClientError):
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status == 507:  # MinIO's disks are full
            return NoRoom(told)
        if 400 <= status < 500:
            return StoreDown(told)
    elif isinstance(problem, _NEVER_SENT):
        return StoreDown(told)
    return Indeterminate(told) if writes else StoreDown(told)


def _code(problem: ClientError) -> str:
    return str(problem.response.get("Error", {}).get("Code", ""))
