"""The direct API as a client calls it, through a function's front; blocks by URL over real HTTP.

ask(site, verb, fields)             (status, answer) of one signed call
upload(site, where, body)           begin, urls, PUTs and verify: all but the commit
read(site, where)                   every byte of an object by URL, held against its blocks' hashes
site, bob, s3, bucket               fixtures: a site, another user, boto3, a bucket of the test's own
"""

import hashlib
import json
import secrets
from types import SimpleNamespace

import pytest
import urllib3
from botocore.exceptions import ClientError

from chalicelib.replication.setup import secret_of
from chalicelib.s3.canonical import Credentials, sign
from tests.hosts.fronts import FunctionUrl, RestApi, body_of, through
from tests.hosts.functions_site import on_services

MIB = 1 << 20
BLOCK = 4 * MIB
FRONTS = {"custom domain": RestApi(), "stage": RestApi("s3"), "function url": FunctionUrl()}


def ask(site, verb, fields, *, keys=None, front=FRONTS["function url"], payload=None, method="POST"):
    """(status, answer) of one signed call; `payload` is what x-amz-content-sha256 says."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    url = f"{front.endpoint}/causeway/direct/{verb}"
    host, path = url.split("/", 3)[2], "/" + url.split("/", 3)[3]
    headers = sign(
        method,
        path.encode(),
        (),
        (("host", host),),
        credentials=Credentials(*(keys or site.keys), site.region),
        now_ms=site.node.site.clock.now_ms(),
        payload=payload or hashlib.sha256(body).hexdigest(),
    )
    call = site.url if isinstance(front, FunctionUrl) else site.call
    answer = call(front.event(method, url, dict(headers), body))
    return answer["statusCode"], json.loads(body_of(answer))


def s3_of(site, keys=None, front=FRONTS["function url"]):
    """boto3 before the same front."""
    call = site.url if isinstance(front, FunctionUrl) else site.call
    return through(front, call, *(keys or site.keys), site.region)


def described(body):
    """Parts of one block, as a client names them."""
    pieces = [body[at : at + BLOCK] for at in range(0, len(body), BLOCK)]
    parts = [
        {"number": n, "blocks": [{"size": len(piece), "sha256": hashlib.sha256(piece).hexdigest()}]}
        for n, piece in enumerate(pieces, 1)
    ]
    return pieces, parts


def put(signed, body):
    """What a client does with a URL."""
    return urllib3.request("PUT", signed["url"], body=body, headers=signed["headers"], retries=False).status


def upload(site, where, body, **options):
    """A whole direct upload up to the commit; what to commit, and the URLs that were used."""
    status, begun = ask(site, "begin", {**where, "size": len(body)}, **options)
    assert (200, BLOCK, 1) == (status, begun["block_size"], begun["part_blocks"])
    at = {**where, "upload": begun["upload"]}
    pieces, parts = described(body)
    _, given = ask(site, "urls", {**at, "parts": parts}, **options)
    signed = [one["urls"][0] for one in given["parts"]]
    assert [200] * len(pieces) == [put(one, piece) for one, piece in zip(signed, pieces, strict=True)]
    _, seen = ask(site, "verify", {**at, "parts": parts}, **options)
    return SimpleNamespace(at=at, parts=parts, named=seen["parts"], signed=signed, pieces=pieces)


def code(call, **arguments):
    """What S3 refuses it with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def read(site, where, **options):
    """Every byte by URL, each block held against its hash."""
    found, at = b"", 0
    while at is not None:
        status, page = ask(site, "read", {**where, "start": at}, **options)
        assert 200 == status
        for block in page["blocks"]:
            body = urllib3.request("GET", block["url"], retries=False).data
            assert (block["size"], block["hash"]) == (len(body), hashlib.sha256(body).hexdigest())
            assert block["offset"] == len(found)
            found += body[block["start"] : block["end"]]
        at = page["next"]
    return found


def refused(site, verb, fields, **options):
    """(status, code)."""
    status, said = ask(site, verb, fields, **options)
    return status, said["error"]


# ------------------------------------------------------------------------------------------ fixtures


@pytest.fixture(scope="module")
def site(minio, dynamodb):
    """One site for all tests of this module; each takes a bucket of its own."""
    with on_services("west", minio, dynamodb) as site:
        yield site


@pytest.fixture(scope="module")
def bob(site):
    """Another user, no administrator."""
    user = site.node.names.decide("create_user", {"name": "Bob"})
    return user.access_key, secret_of(site.node.site, user)


@pytest.fixture
def s3(site):
    return s3_of(site)


@pytest.fixture
def bucket(site, s3):
    name = f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": site.region})
    return name
