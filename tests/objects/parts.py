"""What a client does with a multipart upload, in a line each."""

from chalicelib.objects import multipart
from chalicelib.objects.multipart import NamedPart
from chalicelib.objects.put import PutRequest
from tests.builders import Bytes


def create(west, photos, key="k", **fields):
    return multipart.create(west, photos, PutRequest(key, "ann", **fields))


def send(west, upload, number, body):
    """One attempt at a part, each a second later than the one before."""
    west.clock.advance(1000)
    attempt = multipart.upload_part(west, upload, number, Bytes(body))
    return NamedPart(number, attempt.part.etag)


def complete(west, photos, upload, named, **fields):
    return multipart.complete(
        west, photos, PutRequest(upload.key, "ann", **fields), upload.id, named, lambda upload, parts: None
    )
