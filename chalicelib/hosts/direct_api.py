"""The direct API: JSON over HTTP, by which clients move blocks straight to and from the block bucket.

    POST /causeway/direct/begin    {bucket, key, size?, headers?, if_match?, if_none_match?}
                                   → {upload, block_size, part_blocks, blocks_max, url_seconds}
    POST /causeway/direct/urls     {bucket, key, upload, parts: [{number, blocks: [{size, sha256}]}]}
                                   → {parts: [{number, urls: [{url, headers}]}]}
    POST /causeway/direct/verify   the same → {parts: [{number, etag}]}
    POST /causeway/direct/commit   {bucket, key, upload, parts: [{number, etag}], if_match?, if_none_match?}
                                   → {etag, size, modified_ms, checksum_sha256}
    POST /causeway/direct/abort    {bucket, key, upload} → {}
    POST /causeway/direct/read     {bucket, key, start?, end?, version?}
                                   → {size, etag, version, modified_ms, inline, next,
                                      blocks: [{offset, size, start, end, algorithm, hash, url}]}

Signed with SigV4 as S3 requests are, by any enabled user; who may PUT and GET there may do so here.
Errors  {"error": S3's code, "message": what to do}, with S3's status; NotImplemented (501) where this site
        streams: then ordinary PUT and GET take any size
Limits  BODY_BYTES_MAX a request, objects.direct_put.BLOCKS_MAX blocks a call, 10,000 parts
Source  docs/direct.md; objects/direct_put.py, direct_get.py.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from chalicelib.domain.errors import StoreError
from chalicelib.hosts.json_api import Fields, answer, fields_of
from chalicelib.objects import direct_get, direct_put, get, multipart
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.errors import InvalidRequest, ObjectsError, PreconditionFailed
from chalicelib.objects.multipart import NamedPart
from chalicelib.objects.put import PutRequest
from chalicelib.ports.site import Site
from chalicelib.s3 import door, errors, names
from chalicelib.s3.attributes import Attributes, read_attributes, refuse_unsupported
from chalicelib.s3.body import receive_small
from chalicelib.s3.caller import Caller
from chalicelib.s3.conditions import WriteConditions
from chalicelib.s3.request import Headers, Request, Response
from chalicelib.s3.service import S3Service, as_s3_error
from chalicelib.s3.sigv4 import PayloadMode
from chalicelib.s3.stored import put_request

PREFIX = "/causeway/direct/"
BODY_BYTES_MAX = 1024 * 1024  # 10,000 parts by number and ETag
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class DirectApi:
    """Answers whoever wants to move blocks."""

    def __init__(self, site: Site, service: S3Service) -> None:
        self._site = site
        self._service = service
        self._verbs: dict[str, Callable[[Caller, OpenBucket, str, Fields], Fields]] = {
            "begin": self._begin,
            "urls": self._urls,
            "verify": self._verify,
            "commit": self._commit,
            "abort": self._abort,
            "read": self._read,
        }

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            caller, identity = self._service.authenticate(request)
            name = request.raw_path.decode("ascii", "replace").removeprefix(PREFIX)
            verb = self._verbs.get(name)
            if verb is None or request.method != "POST":
                raise errors.MethodNotAllowed("The direct API has no such method and path.")
            if identity.mode is not PayloadMode.SIGNED:  # or whoever saw the request could send another body
                raise errors.AccessDenied("Sign the body: x-amz-content-sha256 is its SHA-256 here.")
            fields = fields_of(receive_small(request, identity, length_max=BODY_BYTES_MAX))
            if self._site.read_only and name != "read":
                raise errors.AccessDenied(
                    f"Site {self._site.id} is read-only: write at the site it is a copy of."
                )
            bucket = caller.bucket(names.check_bucket(_text(fields, "bucket")))
            key = names.check_key(_text(fields, "key"))
            return answer(200, verb(caller, bucket, key, fields))
        except Exception as problem:  # noqa: BLE001 - a client gets an answer
            return self._failure(problem)

    def _failure(self, problem: Exception) -> Response:
        failure = as_s3_error(problem)
        if isinstance(failure, errors.InternalError):
            self._site.log.event("direct_request_failed", level="error", problem=type(problem).__name__)
        if isinstance(problem, StoreError):  # in words of the store's, which are not for clients
            self._site.log.event("direct_request_failed", level="error", problem=str(problem)[:300])
        told = isinstance(problem, ObjectsError) and failure.status != 404 and str(problem)
        return answer(failure.status, {"error": failure.code, "message": told or failure.message})

    # ----------------------------------------------------------------- upload

    def _begin(self, caller: Caller, bucket: OpenBucket, key: str, fields: Fields) -> Fields:
        size = _number(fields, "size", 0)
        sent = Headers(tuple(_header_pairs(fields.get("headers", {}))))
        door.check_size(sent)  # as if they had come as headers
        refuse_unsupported(sent)
        part_blocks = direct_put.part_blocks(self._site, size)
        wanted = _request(caller, key, fields, read_attributes(sent))
        upload = direct_put.begin(self._site, bucket, wanted)
        return {
            "upload": upload.id,
            "block_size": self._site.rules.block_size,
            "part_blocks": part_blocks,
            "blocks_max": direct_put.BLOCKS_MAX,
            "url_seconds": direct_put.url_seconds(self._site),
        }

    def _urls(self, caller: Caller, bucket: OpenBucket, key: str, fields: Fields) -> Fields:
        upload = direct_put.require(self._site, bucket, key, _upload_id(fields))
        parts = _wanted(fields)
        found = direct_put.urls(self._site, upload, parts)
        return {
            "parts": [
                {"number": part.number, "urls": [{"url": one.url, "headers": one.headers} for one in urls]}
                for part, urls in zip(parts, found, strict=True)
            ]
        }

    def _verify(self, caller: Caller, bucket: OpenBucket, key: str, fields: Fields) -> Fields:
        upload = direct_put.require(self._site, bucket, key, _upload_id(fields))
        made = direct_put.verify(self._site, upload, _wanted(fields))
        return {"parts": [{"number": part.number, "etag": part.etag} for part in made]}

    def _commit(self, caller: Caller, bucket: OpenBucket, key: str, fields: Fields) -> Fields:
        wanted = _request(caller, key, fields, Attributes())
        named = [NamedPart(_number(one, "number"), _text(one, "etag")) for one in _parts(fields)]
        record = direct_put.commit(self._site, bucket, wanted, _upload_id(fields), named)
        return {
            "etag": record.etag,
            "size": record.size,
            "modified_ms": record.modified_ms,
            "checksum_sha256": record.checksum.value if record.checksum else None,
        }

    def _abort(self, caller: Caller, bucket: OpenBucket, key: str, fields: Fields) -> Fields:
        multipart.abort(self._site, bucket, key, _upload_id(fields))
        return {}

    # --------------------------------------------------------------- download

    def _read(self, caller: Caller, bucket: OpenBucket, key: str, fields: Fields) -> Fields:
        direct_put.offered(self._site)
        record = get.head(self._site, bucket.id, key)
        version = str(record.stamp)
        if fields.get("version", version) != version:
            raise PreconditionFailed("the object was written anew since; begin again")
        start = _number(fields, "start", 0)
        end = _number(fields, "end", record.size)
        located, after = direct_get.page(self._site, record, start, end)
        return {
            "size": record.size,
            "etag": record.etag,
            "version": version,
            "modified_ms": record.modified_ms,
            "inline": None if record.upload else base64.b64encode(record.inline[start:end]).decode(),
            "blocks": [_located(one) for one in located],
            "next": after,
        }


def _located(one: direct_get.Located) -> Fields:
    block = one.piece.ref.block
    return {
        "offset": one.offset,
        "size": block.size,
        "start": one.piece.start,
        "end": one.piece.end,
        "algorithm": block.algorithm.name,
        "hash": block.hash.hex(),
        "url": one.url.url if one.url else None,
    }


# ------------------------------------------------------------------------------------ what was asked


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value or not _sendable(value):
        raise InvalidRequest(f"{name}: a text is missing")
    return value


def _sendable(value: str) -> bool:
    """JSON can say half of a surrogate pair, UTF-8 cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _number(fields: Fields, name: str, default: int | None = None) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidRequest(f"{name}: a whole number is missing")
    return value


def _upload_id(fields: Fields) -> str:
    return names.check_upload_id(_text(fields, "upload"))


def _parts(fields: Fields) -> list[Fields]:
    parts = fields.get("parts")
    if not isinstance(parts, list) or not all(isinstance(one, dict) for one in parts):
        raise InvalidRequest("parts: a list of objects is missing")
    if len(parts) > names.PART_NUMBER_MAX:
        raise InvalidRequest(f"parts: at most {names.PART_NUMBER_MAX}")
    return parts


def _wanted(fields: Fields) -> list[direct_put.WantedPart]:
    parts = []
    for one in _parts(fields):
        blocks = one.get("blocks")
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise InvalidRequest("blocks: a list of objects is missing")
        number = _number(one, "number")
        parts.append(direct_put.WantedPart(number, tuple(_block(block) for block in blocks)))
    return parts


def _block(fields: Fields) -> Any:
    size, digits = _number(fields, "size"), _text(fields, "sha256")
    if size > 2**31 or not SHA256.fullmatch(digits):  # bytes.fromhex would skip blanks
        raise InvalidRequest("a block has a size and a sha256 of 64 hex digits")
    return direct_put.vouched_block(size, bytes.fromhex(digits))


def _header_pairs(headers: Any) -> list[tuple[str, str]]:
    """Content-Type and its kin, x-amz-meta-*: what a PUT would send as headers."""
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise InvalidRequest("headers: an object of texts")
    return [(name.lower(), value) for name, value in headers.items()]


def _request(caller: Caller, key: str, fields: Fields, attributes: Attributes) -> PutRequest:
    if_match, if_none_match = fields.get("if_match"), fields.get("if_none_match")
    if if_match is not None:
        if_match = _text(fields, "if_match").strip('"')
    if if_none_match not in (None, "*"):
        raise errors.NotImplemented("if_none_match: only * is")
    conditions = WriteConditions(if_match=if_match, if_none_match=if_none_match == "*")
    return put_request(key, caller.user.id, attributes, conditions)
