"""Functions called by boto3, as "Invoke" of the Lambda API reference says."""

import base64
import json

import boto3
import pytest

from tests.lambda_host import LambdaSite
from tests.lambda_host.toy import toy


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with LambdaSite(toy(tmp_path_factory.mktemp("toy"))) as site:
        yield site


@pytest.fixture
def client(site):
    return boto3.client("lambda", endpoint_url=site.invoke_url, region_name="us-east-1")


@pytest.mark.parametrize(
    "name", ["Toy", "causeway-toy-Toy", "arn:aws:lambda:us-east-1:123456789012:function:causeway-toy-Toy"]
)
def test_invoke(client, name):
    """By each name; what was returned, and the log on demand."""
    told = client.invoke(FunctionName=name, Payload=b'{"n": 1}', LogType="Tail")

    assert json.loads(told["Payload"].read())["event"] == {"n": 1}
    assert "FunctionError" not in told and told["StatusCode"] == 200
    assert b"imported" in base64.b64decode(told["LogResult"])


def test_an_error(client):
    """The answer is 200 all the same."""
    told = client.invoke(FunctionName="Toy", Payload=b'{"do": "raise"}')

    assert (told["StatusCode"], told["FunctionError"]) == (200, "Unhandled")
    assert json.loads(told["Payload"].read())["errorType"] == "KeyError"


def test_without_waiting(client, site, tmp_path):
    """Event is acknowledged and done later; DryRun does nothing."""
    file = tmp_path / "tries"
    event = json.dumps({"do": "fail_until", "tries": 1, "file": str(file)}).encode()
    assert client.invoke(FunctionName="Toy", InvocationType="DryRun", Payload=event)["StatusCode"] == 204
    assert not file.exists()
    assert client.invoke(FunctionName="Toy", InvocationType="Event", Payload=event)["StatusCode"] == 202
    while not file.exists():  # the time limit of the test ends it
        site.invoke("Toy", {})


def test_who_is_not_there(client):
    """ResourceNotFoundException."""
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="Nobody")
