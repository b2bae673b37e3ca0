"""Sites for the clients: one a backend and pytest worker, started when first asked for."""

import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.site_process import SiteProcess, aws_site, directory_site

BASE_DOMAIN = "s3.test"
Sites = Callable[[str], SiteProcess]


@pytest.fixture(scope="session")
def sites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site over a backend, the same one all through the run."""
    running: dict[str, SiteProcess] = {}
    with ExitStack() as started:

        def site(backend: str) -> SiteProcess:
            if backend not in running:
                place = tmp_path_factory.mktemp(backend)
                if backend == "aws":
                    minio, dynamodb = request.getfixturevalue("minio"), request.getfixturevalue("dynamodb")
                    site = aws_site(place, minio, dynamodb, base_domains=BASE_DOMAIN)
                else:
                    site = directory_site(place, base_domains=BASE_DOMAIN)
                running[backend] = started.enter_context(site)
            return running[backend]

        yield site


@pytest.fixture(params=["directory", "aws"])
def site(request: pytest.FixtureRequest, sites: Sites) -> SiteProcess:
    """A running site."""
    return sites(request.param)


@pytest.fixture
def directory(sites: Sites) -> SiteProcess:
    """The running site over a directory, for tests that do not depend on the backend."""
    return sites("directory")


@pytest.fixture
def s3(site: SiteProcess) -> Iterator[Any]:
    """A boto3 client of the site's administrator, as boto3 comes but for retries."""
    client = site.boto3()
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket."""
    return new_bucket(s3)


def new_bucket(s3: Any) -> str:
    """The name of a bucket just made."""
    name = f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def virtual_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every name below the base domain resolve to this machine, in this process."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *rest: Any, **options: Any) -> Any:
        local = isinstance(host, str) and (host == BASE_DOMAIN or host.endswith("." + BASE_DOMAIN))
        return resolve("127.0.0.1" if local else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


def code_of(problem: ClientError) -> str:
    """The S3 code of what boto3 raised."""
    return str(problem.response["Error"]["Code"])


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """The S3 code and HTTP status a call is refused with."""
    with pytest.raises(ClientError) as no:
        call(**arguments)
    return code_of(no.value), no.value.response["ResponseMetadata"]["HTTPStatusCode"]
