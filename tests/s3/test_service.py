"""The S3 service over a site in memory: what a request costs the client in codes, and the one door."""

import dataclasses
import hashlib
import typing
from dataclasses import replace

import pytest

from chalicelib.adapters.system import ByteBudget
from chalicelib.domain.errors import (
    Busy,
    Conflict,
    Indeterminate,
    Missing,
    NoRoom,
    Refused,
    StoreDown,
    Unavailable,
)
from chalicelib.objects import accounts, bodies
from chalicelib.objects.names import LocalNames
from chalicelib.replication.setup import secret_of
from chalicelib.s3 import errors, operations, service
from chalicelib.s3.canonical import Credentials, sign
from chalicelib.s3.request import BytesBody, Headers, Request, parse_query
from chalicelib.s3.service import S3Service, as_s3_error
from tests.builders import KIB, site


class Client:
    """Sends signed requests to a service in this process."""

    def __init__(self, **changes):
        self.site = replace(site("west"), **changes)
        self.names = LocalNames(self.site, 1, lambda bucket_id: True)
        self.service = S3Service(self.site, self.names)
        self.user = self.names.decide("create_user", {"name": "Ann", "email": "ann@example.org"})

    def send(self, method, path, query="", body=b"", headers=()):
        credentials = Credentials(self.user.access_key, secret_of(self.site, self.user))
        headers = [("host", "west.example"), *headers]
        raw_path, pairs = path.encode(), parse_query(query)
        headers += sign(
            method,
            raw_path,
            pairs,
            headers,
            credentials=credentials,
            now_ms=self.site.clock.now_ms(),
        )
        request = Request(method, raw_path, pairs, Headers(headers), BytesBody(body), True, "192.0.2.1")
        return self.service.handle(request)


@pytest.fixture
def client():
    made = Client()
    assert made.send("PUT", "/photos").status == 200
    return made


def test_every_operation_is_carried_out_by_exactly_one_table():
    """Nothing the router can parse falls through, and no operation is in two tables."""
    known = set(typing.get_args(operations.Operation))
    tables = (service._PLAIN, service._WITH_BODY, service._NAMING)

    assert known == set().union(*tables)
    assert len(known) == sum(len(table) for table in tables)


def test_an_object_comes_back_as_it_was_put(client):
    """PUT, GET and HEAD agree on bytes, ETag, type and metadata."""
    put = client.send(
        "PUT", "/photos/a//b", body=b"hello", headers=[("content-type", "x/y"), ("x-amz-meta-k", "v")]
    )

    got = client.send("GET", "/photos/a//b")
    headers = dict(got.headers)
    assert b"hello" == b"".join(got.body)
    assert (dict(put.headers)["ETag"], "x/y", "v") == (
        headers["ETag"],
        headers["Content-Type"],
        headers["x-amz-meta-k"],
    )
    assert "5" == dict(client.send("HEAD", "/photos/a//b").headers)["Content-Length"]


@pytest.mark.parametrize(
    ("method", "path", "query", "code"),
    [
        ("GET", "/photos/none", "", b"NoSuchKey"),
        ("GET", "/nowhere/none", "", b"NoSuchBucket"),
        ("GET", "/photos/none", "uploadId=abc", b"NoSuchUpload"),
        ("PUT", "/photos", "", b"BucketAlreadyOwnedByYou"),
        ("PUT", "/photos/x", "tagging", b"NotImplemented"),
        ("POST", "/photos/x", "", b"MethodNotAllowed"),
    ],
)
def test_a_refusal_carries_its_s3_code(client, method, path, query, code):
    """A client error is the S3 error with the right code, as XML."""
    answer = client.send(method, path, query)

    assert b"<Code>" + code + b"</Code>" in answer.body
    assert 400 <= answer.status < 500 or answer.status == 501


def test_a_head_error_has_no_body(client):
    """HEAD of a missing key is 404 and nothing more."""
    answer = client.send("HEAD", "/photos/none")

    assert (404, b"") == (answer.status, answer.body)


def test_a_disabled_user_is_refused_at_once(client):
    """The request after the update is refused, whatever was remembered of the user."""
    assert client.send("GET", "/photos").status == 200

    client.names.decide("update_user", {"access_key": client.user.access_key, "enabled": False})

    assert client.send("GET", "/photos").status == 403


def test_a_new_secret_ends_the_old_one(client):
    """After a secret was replaced, requests signed with the old one do not match."""
    old = client.user

    client.names.decide("update_user", {"access_key": old.access_key, "new_secret": True})

    assert b"SignatureDoesNotMatch" in client.send("GET", "/photos").body


def test_a_stranger_cannot_touch_the_bucket(client):
    """Another user gets AccessDenied for the bucket and what is in it."""
    client.send("PUT", "/photos/a", body=b"x")
    client.user = client.names.decide("create_user", {"name": "Eve"})

    statuses = {
        client.send(method, path).status
        for method, path in [
            ("GET", "/photos"),
            ("GET", "/photos/a"),
            ("PUT", "/photos/a"),
            ("DELETE", "/photos"),
        ]
    }

    assert {403} == statuses


def test_a_read_only_site_takes_no_writes(client):
    """Where a site is read-only, reads go on and every write is refused with a reason."""
    client.send("PUT", "/photos/a", body=b"x")
    client.service = S3Service(replace(client.site, read_only=True), client.names)

    refused = client.send("PUT", "/photos/a", body=b"y")

    assert (403, True) == (refused.status, b"read-only" in refused.body)
    assert b"x" == b"".join(client.send("GET", "/photos/a").body)


def test_internal_headers_of_a_client_are_ignored(client):
    """A client cannot make itself a site: what it says in internal headers reaches no handler."""
    answer = client.send("PUT", "/photos/a", body=b"x", headers=[("x-causeway-from", "east")])

    assert 200 == answer.status


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (Conflict("x"), 409),
        (Busy("x"), 503),
        (Unavailable("x"), 503),
        (Indeterminate("x"), 503),
        (Missing("x"), 503),
        (NoRoom("x"), 507),
        (Refused("x"), 403),
        (RuntimeError("a secret detail"), 500),
    ],
)
def test_what_stores_raise_becomes_an_s3_error(problem, status):
    """Every failure below the protocol has a status, and an unforeseen one says nothing of the inside."""
    failure = as_s3_error(problem)

    assert status == failure.status
    assert "secret detail" not in failure.message


def test_a_part_is_copied_in_one_buffer():
    """With a budget for a single block: a copy never holds one buffer while it waits for another."""
    client = Client(buffers=ByteBudget(64 * KIB))
    body = bytes(range(256)) * 1000
    client.send("PUT", "/photos")
    client.send("PUT", "/photos/source", body=body)
    upload_id = client.send("POST", "/photos/k", "uploads").body.split(b"UploadId>")[1][:-2].decode()

    source = [("x-amz-copy-source", "/photos/source"), ("x-amz-copy-source-range", "bytes=1-200000")]
    answer = client.send("PUT", "/photos/k", f"partNumber=1&uploadId={upload_id}", headers=source)

    assert 200 == answer.status
    assert hashlib.md5(body[1:200_001]).hexdigest().encode() in answer.body


def test_without_a_buffer_clients_are_told_to_slow_down(monkeypatch):
    """503 SlowDown, which every SDK tries again after a pause, for large bodies; small ones need none."""
    monkeypatch.setattr(bodies, "BUFFER_WAIT_MS", 20)
    client = Client(buffers=ByteBudget(64 * KIB))
    client.send("PUT", "/photos")
    client.send("PUT", "/photos/large", body=b"x" * 5000)

    with client.site.buffers.hold(64 * KIB):
        for method, body in (("PUT", b"y" * 5000), ("GET", b"")):
            answer = client.send(method, "/photos/large", body=body)
            assert (503, True) == (answer.status, b"<Code>SlowDown</Code>" in answer.body)
        assert 200 == client.send("PUT", "/photos/small", body=b"y" * 100).status


def test_an_unforeseen_failure_is_logged_and_answered(client, monkeypatch):
    """A bug costs its own request a 500 and leaves a line in the log, with the request's id."""
    monkeypatch.setattr(accounts, "require_bucket", lambda *_: 1 / 0)

    answer = client.send("GET", "/photos/a")

    assert (500, True) == (answer.status, b"InternalError" in answer.body)
    assert "request_failed" in client.site.log.names()


def test_every_object_error_is_an_s3_code():
    """What a use case may raise has a class of that name among the S3 errors, or is the admin API's."""
    from chalicelib.objects import errors as objects_errors

    ours = {
        name
        for name, kind in vars(objects_errors).items()
        if isinstance(kind, type) and issubclass(kind, objects_errors.ObjectsError)
    } - {"ObjectsError", "UserAlreadyExists", "NoSuchUser"}

    assert set() == {name for name in ours if not hasattr(errors, name)}


def test_put_request_fields_all_reach_the_store():
    """A field added to a write's request must be carried by the service too."""
    from chalicelib.objects.put import PutRequest

    names = {field.name for field in dataclasses.fields(PutRequest)}

    assert {"key", "owner", "headers", "metadata", "if_match", "if_none_match"} == names


def test_what_a_store_says_stays_here():
    """A service's own words name accounts, roles and tables; ours are for the client."""
    theirs = StoreDown("User: arn:aws:sts::123456789012:assumed-role/x is not authorized")
    ours = Unavailable("the bucket changed during the request; try again")

    assert (503, "Service is unable to handle request.") == (
        as_s3_error(theirs).status,
        as_s3_error(theirs).message,
    )
    assert (503, str(ours)) == (as_s3_error(ours).status, as_s3_error(ours).message)
