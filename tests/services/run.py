"""Starts real services for tests and benchmarks on free loopback ports and stops them again.

Use     with minio_server() as minio: boto3.client("s3", **minio.boto3_arguments())
Promise ready when entered, gone when left; also when the thread that started them dies (Linux)
Errors  install.Missing: not to be had here · ServiceFailed: is here but did not start (with log)
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.install import binary, dynamodb_local_jars
from tests.services.minio_user import user_of

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
STARTS_MAX = 3  # another process may take the free port between our look and the server's bind


class ServiceFailed(Exception):
    """A service is installed but did not become ready; the message ends with its log."""


@dataclass(frozen=True)
class Service:
    """Where a running service listens and the credentials it was started with."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def boto3_arguments(self) -> dict[str, str]:
        """Keyword arguments for boto3.client, boto3.resource."""
        return {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": self.region,
        }


@contextmanager
def minio_server(
    directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """A MinIO server by a user of it who may do what a test does (minio_user.py)."""
    with minio_root(directory, environment) as root:
        yield user_of(root)


@contextmanager
def minio_root(
    directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """A MinIO server over `directory`, or over a temporary one that is deleted afterwards; by root.

    `environment` adds MinIO settings, such as MINIO_NOTIFY_WEBHOOK_ENABLE_<id>.
    """
    program = str(binary("minio"))
    access_key, secret_key = _random_word(20), _random_word(40)
    with tempfile.TemporaryDirectory(prefix="causeway-minio-") as temporary:
        stored = directory or Path(temporary, "stored")
        variables = _inherited() | {
            "MINIO_ROOT_USER": access_key,
            "MINIO_ROOT_PASSWORD": secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "HOME": temporary,
            **(environment or {}),
        }

        def command(port: int) -> list[str]:
            address = f"127.0.0.1:{port}"
            return [program, "server", "--quiet", "--address", address, str(stored)]

        def ready(endpoint: str) -> bool:
            return _status(f"{endpoint}/minio/health/ready") == 200

        with _running("MinIO", command, ready, variables, Path(temporary)) as endpoint:
            yield Service(endpoint, access_key, secret_key)


@contextmanager
def dynamodb_local() -> Iterator[Service]:
    """DynamoDB Local in memory. Each access key (letters and digits) sees tables of its own."""
    jars = dynamodb_local_jars()
    with tempfile.TemporaryDirectory(prefix="causeway-dynamodb-") as temporary:

        def command(port: int) -> list[str]:
            return [
                "java",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                f"-Djava.library.path={jars}",
                "-classpath",
                f"{jars}/*",
                "software.amazon.dynamodb.services.local.main.ServerRunner",
                "-inMemory",
                "-disableTelemetry",
                "-port",
                str(port),
            ]

        def ready(endpoint: str) -> bool:
            return _status(endpoint) == 400  # alive, and asks for a signature

        with _running("DynamoDB Local", command, ready, _inherited(), Path(temporary)) as endpoint:
            yield Service(endpoint, _random_word(20), _random_word(40))


@contextmanager
def moto_server() -> Iterator[Service]:
    """SQS, KMS, CloudFormation and more of AWS by moto over HTTP; account 123456789012 for any keys."""
    with tempfile.TemporaryDirectory(prefix="causeway-moto-") as temporary:
        variables = _inherited() | {"HOME": temporary}

        def command(port: int) -> list[str]:
            return [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]

        def ready(endpoint: str) -> bool:
            return _status(f"{endpoint}/moto-api/") == 200

        with _running("moto", command, ready, variables, Path(temporary)) as endpoint:
            yield Service(endpoint, _random_word(20), _random_word(40))


@contextmanager
def _running(
    name: str,
    command: Callable[[int], list[str]],
    ready: Callable[[str], bool],
    environment: Mapping[str, str],
    directory: Path,
) -> Iterator[str]:
    """Runs `command(port)` until the block is left; yields the endpoint once it is ready."""
    log = directory / "log"
    for _ in range(STARTS_MAX):
        port = _free_port()
        endpoint = f"http://127.0.0.1:{port}"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                _dying_with_us(command(port)),
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the tests, which then stop it
            )
        try:
            if _wait_until_ready(process, lambda url=endpoint: ready(url)):
                yield endpoint
                return
        finally:
            _stop(process)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise ServiceFailed(f"{name} did not start, its log ends with:\n{tail}")


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    """True once the service answers, False when its process has ended or time is up."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        if ready() and process.poll() is None:
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _dying_with_us(command: list[str]) -> list[str]:
    """The command, killed by the kernel should we die without stopping it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


def _status(url: str) -> int | None:
    """The status of a GET without any proxy, or None when nothing answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _random_word(length: int) -> str:
    return secrets.token_hex(length // 2)


def _inherited() -> dict[str, str]:
    """Our environment without what would configure the services behind our back."""
    return {name: v for name, v in os.environ.items() if not name.startswith(("MINIO_", "AWS_"))}
