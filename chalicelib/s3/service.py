"""The S3 service: a Request in, a Response out, never an exception. The one door of every client.

    size of headers → signature → internal headers stripped → operation → carried out → answer

Errors  become S3's XML with the right code; a HEAD's has no body. What nobody foresaw is logged with
        its request id and answered 500 without a word about the inside.
Source  DESIGN §3 *one door*; Amazon S3 "Error responses".
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from chalicelib.domain.errors import (
    Busy,
    Conflict,
    Indeterminate,
    Missing,
    NoRoom,
    Refused,
    StoreDown,
    StoreError,
)
from chalicelib.objects.errors import ObjectsError
from chalicelib.objects.names import Names
from chalicelib.ports.site import Site
from chalicelib.s3 import (
    door,
    errors,
    operations,
    router,
    run_bucket,
    run_multipart,
    run_object,
    sigv4,
    xml_write,
)
from chalicelib.s3.caller import Caller, Callers
from chalicelib.s3.operations import Operation
from chalicelib.s3.request import Request, Response
from chalicelib.s3.sigv4 import Identity

_WRITES = (
    operations.CreateBucket,
    operations.DeleteBucket,
    operations.PutObject,
    operations.DeleteObject,
    operations.DeleteObjects,
    operations.CopyObject,
    operations.CreateMultipartUpload,
    operations.UploadPart,
    operations.UploadPartCopy,
    operations.CompleteMultipartUpload,
    operations.AbortMultipartUpload,
)


# What carries out each operation, by what it needs besides the caller. A test holds these tables
# against `operations.Operation`: nothing is missing, nothing is in two of them.
_PLAIN: dict[type, Callable[..., Response]] = {
    operations.ListBuckets: run_bucket.list_buckets,
    operations.HeadBucket: run_bucket.head_bucket,
    operations.GetBucketLocation: run_bucket.get_location,
    operations.ListObjects: run_bucket.list_objects,
    operations.ListObjectsV2: run_bucket.list_objects,
    operations.ListMultipartUploads: run_bucket.list_uploads,
    operations.GetAcl: run_bucket.get_acl,
    operations.GetSetting: run_bucket.get_setting,
    operations.GetObject: run_object.read_object,
    operations.HeadObject: run_object.read_object,
    operations.DeleteObject: run_object.delete_object,
    operations.CopyObject: run_object.copy_object,
    operations.CreateMultipartUpload: run_multipart.create,
    operations.UploadPartCopy: run_multipart.upload_part_copy,
    operations.AbortMultipartUpload: run_multipart.abort,
    operations.ListParts: run_multipart.list_parts,
}
_WITH_BODY: dict[type, Callable[..., Response]] = {
    operations.DeleteObjects: run_bucket.delete_objects,
    operations.PutObject: run_object.put_object,
    operations.UploadPart: run_multipart.upload_part,
    operations.CompleteMultipartUpload: run_multipart.complete,
}
_NAMING: dict[type, Callable[..., Response]] = {
    operations.CreateBucket: run_bucket.create_bucket,
    operations.DeleteBucket: run_bucket.delete_bucket,
}


_STORE_ERRORS: dict[type[StoreError], type[errors.S3Error]] = {
    Busy: errors.SlowDown,
    NoRoom: errors.InsufficientStorage,
    Conflict: errors.OperationAborted,
}


class S3Service:
    """One site's S3 front end."""

    def __init__(self, site: Site, names: Names, base_domains: tuple[str, ...] = ()) -> None:
        self._site = site
        self._names = names
        self._base_domains = base_domains
        self._callers = Callers(site)

    def authenticate(self, request: Request) -> tuple[Caller, Identity]:
        """Who sent the request; S3Error unless the signature holds and the user is enabled."""
        door.check_size(request.headers)
        found = {}

        def secret_of(access_key: str) -> str | None:
            known = self._callers.find(access_key)
            if known is None:
                return None
            found["user"] = known[0]
            return known[1]

        region = self._site.rules.region or None
        identity = sigv4.authenticate(request, self._site.clock.now_ms(), secret_of, region)
        user = found["user"]
        if not user.enabled:
            raise errors.AccessDenied("The user is disabled.")
        return Caller(self._site, user), identity

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        request_id = self._site.ids.token(8).upper()
        try:
            caller, identity = self.authenticate(request)
            clean = door.clean(request, presigned=identity.presigned)
            operation = router.parse(clean, self._base_domains)
            if self._site.read_only and isinstance(operation, _WRITES):
                raise errors.AccessDenied(
                    f"Site {self._site.id} is read-only: write at the site it is a copy of."
                )
            answer = self._run(caller, operation, clean, identity)
        except Exception as problem:  # noqa: BLE001 - the last line of defence: a client gets an answer
            answer = self._failure(request, problem, request_id)
        answer.headers.append(("x-amz-request-id", request_id))
        return answer

    def _run(self, caller: Caller, operation: Operation, request: Request, identity: Identity) -> Response:
        kind = type(operation)
        if kind in _NAMING:
            return _NAMING[kind](caller, operation, self._names, request, identity)
        if kind in _WITH_BODY:
            return _WITH_BODY[kind](caller, operation, request, identity)
        return _PLAIN[kind](caller, operation)

    def _failure(self, request: Request, problem: Exception, request_id: str) -> Response:
        failure = as_s3_error(problem)
        if isinstance(problem, StoreDown):
            self._site.log.event("store_down", request_id=request_id, problem=str(problem)[:300])
        if isinstance(failure, errors.InternalError):
            self._site.log.event(
                "request_failed",
                request_id=request_id,
                problem=type(problem).__name__,
                where="".join(traceback.format_tb(problem.__traceback__)[-3:]),
            )
        return error_response(request, failure, request_id)


def error_response(request: Request, failure: errors.S3Error, request_id: str) -> Response:
    """The failure as S3 says it; without a body for HEAD, 304 and 204."""
    headers = list(failure.headers)
    if failure.status == 304:
        return Response(304, headers)
    if request.method == "HEAD":
        return Response(failure.status, headers)
    resource = request.raw_path.decode("latin-1")
    body = xml_write.error(failure, resource=resource, request_id=request_id)
    headers += [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    return Response(failure.status, headers, body)


def as_s3_error(problem: Exception) -> errors.S3Error:
    """The S3 error for anything that was raised."""
    if isinstance(problem, errors.S3Error):
        return problem
    if isinstance(problem, ObjectsError):
        kind = getattr(errors, type(problem).__name__, None)
        if kind is not None:
            told = str(problem) if kind in (errors.InvalidRequest, errors.InvalidPart) else None
            return _named(kind, told, problem)
    for raised, answered in _STORE_ERRORS.items():
        if isinstance(problem, raised):
            return answered()
    if isinstance(problem, Missing):
        return errors.ServiceUnavailable(
            "Some of the object's bytes are not at this site and no other site could give them now."
        )
    if isinstance(problem, Refused):
        return errors.AccessDenied(str(problem))
    if isinstance(problem, Indeterminate):
        return errors.ServiceUnavailable("Whether the write took place is unknown; read it back.")
    if isinstance(problem, StoreError):
        return errors.ServiceUnavailable(None if isinstance(problem, StoreDown) else str(problem) or None)
    return errors.InternalError()


def _named(kind: type[errors.S3Error], told: str | None, problem: Exception) -> errors.S3Error:
    if kind is errors.NoSuchKey:
        return kind(told, Key=str(problem))
    if kind is errors.NoSuchBucket:
        return kind(told, BucketName=str(problem))
    if kind is errors.NoSuchUpload:
        return kind(told, UploadId=str(problem))
    return kind(told)
