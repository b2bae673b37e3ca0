"""One site of functions for tests: the real app.py under Chalice's test client, wired to stores by its stage.

with on_moto("west") as site: …             tables and bucket imitated
with on_services("west", minio, dynamodb)   real DynamoDB Local and MinIO
site.call(event), site.url(event)           an HTTP event to the API's handler, to the Function URL's
site.client.lambda_.invoke(name, event)     any other function
"""

import os
import secrets
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import boto3
from chalice.cli.factory import CLIFactory
from chalice.local import LambdaContext
from chalice.test import Client
from moto import mock_aws

import app as functions_app
from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.hosts import sandbox
from chalicelib.replication.setup import secret_of

ROOT = Path(__file__).parent.parent.parent


def stage(name):
    """A stage as .chalice/config.json has it."""
    return CLIFactory(str(ROOT), environ=os.environ.copy()).create_config_obj(name)


class FunctionsSite:
    """A site; `node` is what its functions drive."""

    def __init__(self, name):
        self.client = Client(functions_app.app, stage_name=name, project_dir=str(ROOT))
        self.region = os.environ["CAUSEWAY_REGION"]
        user = self.node.names.decide("create_user", {"name": "Ann", "admin": True})
        self.keys = user.access_key, secret_of(self.node.site, user)

    @property
    def node(self):
        return sandbox.site().node

    def context(self, ms=60_000):
        """What Lambda hands every function."""
        return LambdaContext("function", 1024, ms)

    def call(self, event):
        """The API's handler, as Lambda calls it."""
        return functions_app.app(event, self.context())

    def url(self, event):
        """The function behind the Function URL."""
        return self.client.lambda_.invoke("gateway", event).payload


@contextmanager
def _environment(name, **more):
    variables = {**stage(name).environment_variables, "CAUSEWAY_MASTER_KEY": secrets.token_hex(32), **more}
    # Chalice's client gives every function 3 s, whatever the stage says.
    longer = mock.patch("chalice.test.LambdaContext", partial(LambdaContext, max_runtime_ms=60_000))
    with mock.patch.dict(os.environ, variables), longer:
        sandbox.forget()
        try:
            yield variables
        finally:
            sandbox.forget()


@contextmanager
def on_moto(name="west", **more):
    """A site over moto."""
    with mock_aws(), _environment(name, **more) as variables:
        region = variables["CAUSEWAY_BLOCKS_REGION"]
        boto3.client("s3", region).create_bucket(
            Bucket=variables["CAUSEWAY_BLOCKS_BUCKET"],
            CreateBucketConfiguration={"LocationConstraint": region},
        )
        create_tables(boto3.client("dynamodb", region), variables["CAUSEWAY_DYNAMODB_PREFIX"])
        yield FunctionsSite(name)


@contextmanager
def on_services(name, minio, dynamodb, **more):
    """A site over real services; one identity for both, as on AWS. Stores of its own."""
    run = f"{name}-{secrets.token_hex(6)}"
    keys = {"aws_access_key_id": minio.access_key, "aws_secret_access_key": minio.secret_key}
    tables = boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, region_name=minio.region, **keys)
    bucket = boto3.client("s3", endpoint_url=minio.endpoint, region_name=minio.region, **keys)
    places = {
        "CAUSEWAY_BLOCKS_BUCKET": run,
        "CAUSEWAY_BLOCKS_REGION": minio.region,
        "CAUSEWAY_BLOCKS_ENDPOINT": minio.endpoint,
        "CAUSEWAY_DYNAMODB_PREFIX": run,
        "CAUSEWAY_DYNAMODB_ENDPOINT": dynamodb.endpoint,
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
    }
    with ExitStack() as stack:
        bucket.create_bucket(Bucket=run)
        create_tables(tables, run)
        stack.callback(delete_tables, tables, run)
        stack.enter_context(_environment(name, **{**places, **more}))
        # The stage's own variables would stand above these when Chalice's client calls a function.
        stack.enter_context(mock.patch("chalice.test.BaseClient._patched_env_vars", _as_they_are))
        yield FunctionsSite(name)


@contextmanager
def _as_they_are(self, environment_variables):
    yield
