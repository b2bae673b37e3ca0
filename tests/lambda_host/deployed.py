"""One site deployed as its package says: over a bucket in MinIO, tables in DynamoDB Local, queues in moto.

    with deployed("west", minio, dynamodb, moto) as site:        everything under names of its own
        site.host                                   LambdaSite
        site.front("rest"), "strict", "domain", "url"    FrontSite, which clients' tests take for a site
        site.keys                                   the administrator's
        site.wired()                                the same site in this process, to look behind it

Promise what the template declares as queues is there, with its redrive policy and time-outs
"""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import boto3

from chalicelib import bootstrap
from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.s3.canonical import sign
from chalicelib.settings import Settings
from tests.lambda_host.packaging import Package, packaged
from tests.lambda_host.resources import made_key, made_queues
from tests.lambda_host.site import LambdaSite
from tests.lambda_host.toy import ask
from tests.services.run import Service
from tests.site_process import SiteProcess, _empty, variables


class FrontSite(SiteProcess):
    """A front of the site, with what tests of clients ask of a running site."""

    def __init__(self, front: str, url: str, keys: tuple[str, str], environment: dict[str, str]) -> None:
        self.front, self._url, self._keys, self._environment = front, url, keys, environment
        self.name = environment["CAUSEWAY_SITE"]

    @property
    def endpoint(self) -> str:
        """With the stage, where there is one."""
        return self._url

    @property
    def address(self) -> tuple[str, int]:
        """For sockets."""
        parts = urlsplit(self._url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    @property
    def scheme(self) -> str:
        """The fronts of tests speak no TLS."""
        return "http"

    @property
    def ca_file(self) -> None:
        """So nobody vouches."""

    @property
    def keys(self) -> tuple[str, str]:
        """The administrator's."""
        return self._keys

    def admin(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """One call of the admin API, signed for the whole path."""
        parts = urlsplit(self._url)
        target = f"{parts.path}/causeway/admin/{path}"
        body = json.dumps(fields).encode() if fields else b""
        headers = (("host", parts.netloc),)
        now_ms = int(time.time() * 1000)
        signed = sign(method, target.encode(), (), headers, credentials=self.credentials, now_ms=now_ms)
        told = ask(f"http://{parts.netloc}", method, target, dict(headers) | dict(signed), body or None)
        assert told.status == 200, told
        return told.json()


class DeployedSite:
    """One site of functions and where its things are."""

    def __init__(self, package: Package, host: LambdaSite, environment: dict[str, str]) -> None:
        self.package, self.host, self.environment = package, host, environment

    @cached_property
    def keys(self) -> tuple[str, str]:
        """The administrator's, who is made when somebody asks."""
        made = self.host.invoke("Administrator")
        return made["access_key"], made["secret_key"]

    def front(self, name: str) -> FrontSite:
        """`rest`, `strict`, `domain` or `url`."""
        host = self.host
        urls = {
            "rest": host.rest_url,
            "strict": host.strict_url,
            "domain": host.domain_url,
            "url": host.function_url,
        }
        return FrontSite(name, urls[name], self.keys, self.settings())

    def settings(self) -> dict[str, str]:
        """What its functions are told, but for what only the template knows."""
        return self.package.variables | self.environment

    def wired(self) -> bootstrap.Wired:
        """The site in this process, with the credentials of its functions."""
        keys = {name: value for name, value in self.environment.items() if name.startswith("AWS_")}
        with mock.patch.dict(os.environ, keys):
            return bootstrap.build_function(Settings.from_environment(self.settings()))


@contextmanager
def deployed(  # noqa: PLR0913 - a site and what it stands on
    stage: str,
    minio: Service,
    dynamodb: Service,
    moto: Service,
    concurrency: int = 4,
    compiled: bool = True,
    own_bucket: bool = False,
    **settings: object,
) -> Iterator[DeployedSite]:
    """A site; `settings` are those of chalicelib.settings by name. One identity for everything, as a role
    has; or `own_bucket`: MinIO knows nothing of it, and the site is given keys for its bucket."""
    package = packaged(stage)
    run = f"{stage}-{secrets.token_hex(6)}"
    region = package.variables["CAUSEWAY_BLOCKS_REGION"]
    who = dynamodb if own_bucket else minio
    role = {"aws_access_key_id": who.access_key, "aws_secret_access_key": who.secret_key}
    tables = boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, region_name=region, **role)
    store = boto3.client("s3", **(minio.boto3_arguments() | {"region_name": region}))
    with ExitStack() as stack:
        store.create_bucket(Bucket=run)
        stack.callback(_drop_bucket, store, run)
        create_tables(tables, run)
        stack.callback(delete_tables, tables, run)
        resources = stack.enter_context(made_queues(package.template, moto, run, region))
        kms_key = made_key(moto, run, region)
        resources |= {"BlocksBucket": run}
        told = {
            "region": "",  # any that a client signs for
            "blocks_bucket": run,
            "blocks_endpoint": minio.endpoint,
            "dynamodb_prefix": run,
            "dynamodb_endpoint": dynamodb.endpoint,
            "sqs_endpoint": moto.endpoint,
            "kms_key": kms_key,
            "kms_endpoint": moto.endpoint,
            **settings,
        }
        if own_bucket:
            told |= {"blocks_access_key": minio.access_key, "blocks_secret_key": minio.secret_key}
        environment = variables(told)
        environment |= {"AWS_ACCESS_KEY_ID": who.access_key, "AWS_SECRET_ACCESS_KEY": who.secret_key}
        host = stack.enter_context(
            LambdaSite(package, environment, resources, moto, concurrency, compiled=compiled)
        )
        yield DeployedSite(package, host, environment)


def _drop_bucket(store: Any, name: str) -> None:
    _empty(store, name)
    with suppress(store.exceptions.NoSuchBucket):
        store.delete_bucket(Bucket=name)
