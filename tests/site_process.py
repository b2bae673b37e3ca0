"""A real site as processes of its own, over either backend: started, killed, restarted, cleaned up.

    with directory_site(tmp_path) as site: site.boto3()…      a directory and SQLite
    with aws_site(tmp_path, minio, dynamodb) as site: …       MinIO and DynamoDB Local
    site.kill(); site.start()                                 kill -9, and again on the same port

`settings` are those of chalicelib.settings by name: leeway="1s", base_domains="s3.test".
Promise  ready when entered, gone when left, tables and buckets included; gone too when the tests are killed
Errors   AssertionError with the end of the site's log when it does not start
"""

import json
import os
import secrets
import ssl
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.s3.canonical import Credentials, sign
from tests.command import OK, run
from tests.hosts.running import Server
from tests.services.run import Service

REGION = "us-east-1"
# As `causeway serve` does, but the kernel ends it with the process that runs the tests.
SERVE = """
import ctypes, sys
from contextlib import suppress
with suppress(AttributeError, OSError):
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
from chalicelib.hosts.server import serve
from chalicelib.settings import Settings
sys.exit(serve(Settings.read()))
"""


class BlockFiles:
    """The blocks of a directory site, behind its back; names are `upload/attempt/number`."""

    def __init__(self, data: Path) -> None:
        self._blocks = data / "blocks"

    def names(self) -> list[str]:
        """All there are."""
        return sorted(self._name(path) for path in self._blocks.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        """Its bytes."""
        return self._path(name).read_bytes()

    def write(self, name: str, body: bytes) -> None:
        """Other bytes in its place."""
        self._path(name).write_bytes(body)

    def remove(self, name: str) -> None:
        """Away with it."""
        self._path(name).unlink()

    def _name(self, path: Path) -> str:
        attempt, _, number = path.name.rpartition("-")
        return f"{path.parent.name}/{attempt}/{number}"

    def _path(self, name: str) -> Path:
        upload, attempt, number = name.split("/")
        (found,) = self._blocks.glob(f"*/{upload}/{attempt}-{number}")
        return found


class BlockObjects:
    """The blocks of a site over a bucket, behind its back."""

    def __init__(self, store: Any, bucket: str) -> None:
        self._store, self._bucket = store, bucket

    def names(self) -> list[str]:
        """All there are."""
        return sorted(self._keys())

    def read(self, name: str) -> bytes:
        """Its bytes."""
        return self._store.get_object(Bucket=self._bucket, Key=self._keys()[name])["Body"].read()

    def write(self, name: str, body: bytes) -> None:
        """Other bytes in its place."""
        self._store.put_object(Bucket=self._bucket, Key=self._keys()[name], Body=body)

    def remove(self, name: str) -> None:
        """Away with it."""
        self._store.delete_object(Bucket=self._bucket, Key=self._keys()[name])

    def _keys(self) -> dict[str, str]:
        pages = self._store.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix="blocks/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key.split("/", 2)[2]: key for key in keys}


class SiteProcess:
    """One site; `data` is its directory (on the aws backend only for admin.json)."""

    blocks: BlockFiles | BlockObjects

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.name = environment["CAUSEWAY_SITE"]
        self.port = 0
        self.starts = 0
        self.server: Server | None = None
        self._environment = environment
        self.data.mkdir(parents=True, exist_ok=True)

    def start(self, **settings: object) -> None:
        """Start it, on the port it had before; `settings` replace earlier ones. Returns when it is ready."""
        self._environment |= variables(settings)
        self.starts += 1
        self.server = Server(["-c", SERVE], self.directory / f"log-{self.starts}", self.environment)
        self.port = self.server.port

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are told."""
        return self._environment | variables({"port": self.port, "data": self.data})

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        server, self.server = self.server, None
        return server.stop() if server is not None else 0

    def kill(self) -> None:
        """kill -9 the main process; its workers go with it."""
        server, self.server = self.server, None
        if server is not None:
            server.process.kill()
            server.process.wait()

    def main_pid(self) -> int:
        """The process that owns the site."""
        assert self.server is not None, "the site does not run"
        return self.server.process.pid

    def worker_pids(self) -> list[int]:
        """The processes that answer HTTP now."""
        main = self.main_pid()
        return [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]

    def restart(self, **settings: object) -> None:
        """Stop, and start with other settings."""
        self.stop()
        self.start(**settings)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the running process logged under this name."""
        assert self.server is not None, "the site does not run"
        return self.server.events(name)

    # ------------------------------------------------------------------ speaking to it

    @property
    def address(self) -> tuple[str, int]:
        """For sockets."""
        return "127.0.0.1", self.port

    @property
    def scheme(self) -> str:
        """https when the site was given a certificate."""
        return "https" if "CAUSEWAY_TLS_CERT" in self._environment else "http"

    @property
    def ca_file(self) -> str | None:
        """Who vouches for it: the CA file it was given for its own links."""
        return self._environment.get("CAUSEWAY_CA_FILE")

    @property
    def endpoint(self) -> str:
        """For clients."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def setting(self, name: str) -> str:
        """What the site was told."""
        return self._environment[f"CAUSEWAY_{name.upper()}"]

    @property
    def keys(self) -> tuple[str, str]:
        """The administrator's access key and secret."""
        found = json.loads((self.data / "admin.json").read_text())
        return found["access_key"], found["secret_key"]

    @property
    def credentials(self) -> Credentials:
        """The same, to sign with."""
        return Credentials(*self.keys, REGION)

    def boto3(self, keys: tuple[str, str] | None = None, endpoint: str = "", **config: Any) -> Any:
        """A boto3 client that tries once."""
        access_key, secret_key = keys or self.keys
        config = {"s3": {"addressing_style": "path"}, "max_pool_connections": 32} | config
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=REGION,
            verify=self.ca_file,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60, **config),
        )

    def environment_of_clients(self) -> dict[str, str]:
        """What a client process inherits: our keys, no proxy, nobody's configuration."""
        access_key, secret_key = self.keys
        kept = {n: os.environ[n] for n in ("PATH", "LANG", "LD_LIBRARY_PATH") if n in os.environ}
        return kept | {
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_COLOR": "1",
        }

    def admin(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """One call of the admin API."""
        target = f"/causeway/admin/{path}"
        body = json.dumps(fields).encode() if fields else b""
        headers = [("host", f"127.0.0.1:{self.port}")]
        now_ms = int(time.time() * 1000)
        headers += sign(
            method, target.encode(), (), tuple(headers), credentials=self.credentials, now_ms=now_ms
        )
        request = urllib.request.Request(self.endpoint + target, body or None, dict(headers), method=method)
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        direct = urllib.request.build_opener(*handlers)
        with direct.open(request, timeout=60) as answer:
            return json.load(answer)

    def user(self, name: str = "") -> tuple[str, str]:
        """The keys of a new user."""
        made = self.admin("POST", "users", name=name or f"user {secrets.token_hex(4)}")
        return made["access_key"], made["secret_key"]


def variables(settings: dict[str, object]) -> dict[str, str]:
    """Settings as the environment says them."""
    return {f"CAUSEWAY_{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def directory_site(directory: Path, name: str = "here", **settings: object) -> Iterator[SiteProcess]:
    """A running site over a directory and SQLite."""
    site = SiteProcess(directory, variables({"site": name, **settings}))
    site.blocks = BlockFiles(site.data)
    try:
        site.start()
        yield site
    finally:
        site.stop()


@contextmanager
def aws_site(
    directory: Path, minio: Service, dynamodb: Service, name: str = "here", **settings: object
) -> Iterator[SiteProcess]:
    """A running site over a bucket in MinIO and tables in DynamoDB Local, both its own."""
    bucket = f"blocks-{secrets.token_hex(6)}"
    prefix = f"{bucket}-"
    keys = {
        "aws_access_key_id": minio.access_key,  # one identity for both, as a site on AWS has
        "aws_secret_access_key": minio.secret_key,
        "region_name": minio.region,
    }
    store = boto3.client("s3", endpoint_url=minio.endpoint, **keys)
    tables = boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, **keys)
    environment = {
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        "AWS_DEFAULT_REGION": minio.region,
    }
    environment |= variables(
        {
            "site": name,
            "backend": "aws",
            "blocks_bucket": bucket,
            "blocks_region": minio.region,
            "blocks_endpoint": minio.endpoint,
            "dynamodb_prefix": prefix,
            "dynamodb_endpoint": dynamodb.endpoint,
            "master_key": secrets.token_hex(32),
            **settings,
        }
    )
    site = SiteProcess(directory, environment)
    site.blocks = BlockObjects(store, bucket)
    store.create_bucket(Bucket=bucket)
    create_tables(tables, prefix)
    try:
        site.start()
        yield site
    finally:
        site.stop()
        delete_tables(tables, prefix)
        _empty(store, bucket)
        with suppress(store.exceptions.NoSuchBucket):
            store.delete_bucket(Bucket=bucket)


def _empty(store: Any, bucket: str) -> None:
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            store.delete_object(Bucket=bucket, Key=entry["Key"])


@contextmanager
def linked_sites(west: Path, east: Path) -> Iterator[tuple[SiteProcess, SiteProcess]]:
    """west, the primary, and its sink east, each over a directory; connected, nothing enabled."""
    with (
        directory_site(west, "west", primary="west") as source,
        directory_site(east, "east", primary="west") as sink,
    ):
        ran = run("connect", "--data", source.data, "--sink-data", sink.data)
        assert ran.exit == OK, ran
        yield source, sink
