"""Carrying out the operations on the service and on buckets.

In      a Caller, the operation, the request's body
Out     Response
Errors  S3Error, and what `objects` and the ports raise (service.py turns them into S3's)
Source  Amazon S3 API reference.
"""

from __future__ import annotations

from chalicelib.objects import accounts, delete, multipart
from chalicelib.objects import errors as objects_errors
from chalicelib.objects import list as listing
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.listed import Listed
from chalicelib.objects.names import Names
from chalicelib.s3 import errors, operations, unset_settings, xml_read, xml_write
from chalicelib.s3.body import receive_small
from chalicelib.s3.caller import Caller
from chalicelib.s3.checksums import Algorithm, ChecksumType
from chalicelib.s3.request import Request, Response
from chalicelib.s3.sigv4 import Identity
from chalicelib.s3.views import (
    FailedKey,
    ListedBucket,
    ListedObject,
    ListedUpload,
    ObjectPage,
    Owner,
    UploadPage,
)
from chalicelib.s3.xml_read import KeyToDelete

DEFAULT_REGION = "us-east-1"


def xml(body: bytes, status: int = 200) -> Response:
    """An XML answer."""
    return Response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)


def list_buckets(caller: Caller, operation: operations.ListBuckets) -> Response:
    """The caller's buckets."""
    mine = [
        ListedBucket(bucket.name, bucket.created_ms)
        for bucket in accounts.named_buckets(caller.site)
        if bucket.owner == caller.user.id
        and bucket.name.startswith(operation.prefix)
        and bucket.name > operation.after_name
    ]
    page = mine[: operation.max_buckets]
    more = page[-1].name if len(mine) > len(page) and page else ""
    return xml(xml_write.list_buckets(caller.owner, page, prefix=operation.prefix, next_name=more))


def create_bucket(
    caller: Caller, operation: operations.CreateBucket, names: Names, request: Request, identity: Identity
) -> Response:
    """Make a bucket; the primary decides on its name."""
    body = receive_small(request, identity, length_max=xml_read.XML_BYTES_MAX)
    region = xml_read.read_location(body)
    wanted = caller.site.rules.region
    if region and wanted and region != wanted:
        raise errors.IllegalLocationConstraintException(
            f"The {region} location constraint is incompatible for the region this site serves, {wanted}."
        )
    names.decide("create_bucket", {"name": operation.bucket, "owner": caller.user.id, "region": region})
    return Response(200, [("Location", f"/{operation.bucket}"), ("Content-Length", "0")])


def head_bucket(caller: Caller, operation: operations.HeadBucket) -> Response:
    """Whether the bucket is there and the caller's."""
    bucket = caller.bucket(operation.bucket).bucket
    region = bucket.region or caller.site.rules.region or DEFAULT_REGION
    return Response(200, [("x-amz-bucket-region", region), ("Content-Length", "0")])


def delete_bucket(
    caller: Caller, operation: operations.DeleteBucket, names: Names, request: Request, identity: Identity
) -> Response:
    """Remove an empty bucket; the primary asks every linked site whether its copy is empty."""
    caller.bucket(operation.bucket)
    names.decide(
        "delete_bucket",
        {"name": operation.bucket, "owner": caller.user.id, "admin": caller.user.admin},
    )
    return Response(204, [])


def get_location(caller: Caller, operation: operations.GetBucketLocation) -> Response:
    """The region the bucket was made for."""
    region = caller.bucket(operation.bucket).bucket.region
    return xml(xml_write.location("" if region == DEFAULT_REGION else region))


def _listed(row: Listed, owner: Owner | None) -> ListedObject:
    return ListedObject(
        row.key,
        row.modified_ms,
        row.etag,
        row.size,
        owner,
        Algorithm(row.checksum_algorithm) if row.checksum_algorithm else None,
        ChecksumType(row.checksum_kind) if row.checksum_kind else None,
    )


def list_objects(caller: Caller, operation: operations.ListObjects | operations.ListObjectsV2) -> Response:
    """A page of keys, in either version."""
    bucket = caller.bucket(operation.bucket)
    v2 = isinstance(operation, operations.ListObjectsV2)
    after = operation.after_key if isinstance(operation, operations.ListObjectsV2) else operation.marker
    page = listing.list_objects(
        caller.site,
        bucket.id,
        prefix=operation.prefix,
        delimiter=operation.delimiter,
        after=after,
        max_keys=operation.max_keys,
    )
    with_owner = not v2 or (isinstance(operation, operations.ListObjectsV2) and operation.fetch_owner)
    objects = [_listed(row, caller.owner_of(row.owner) if with_owner else None) for row in page.keys]
    shown = ObjectPage(objects, page.prefixes, page.last if page.truncated else "")
    if isinstance(operation, operations.ListObjectsV2):
        return xml(xml_write.list_objects_v2(operation, shown))
    return xml(xml_write.list_objects(operation, shown))


def list_uploads(caller: Caller, operation: operations.ListMultipartUploads) -> Response:
    """Open multipart uploads."""
    bucket = caller.bucket(operation.bucket)
    page = multipart.list_uploads(
        caller.site,
        bucket.id,
        prefix=operation.prefix,
        delimiter=operation.delimiter,
        after=(operation.key_marker, operation.upload_id_marker),
        max_uploads=operation.max_uploads,
    )
    uploads = [
        ListedUpload(
            upload.key,
            upload.id,
            upload.opened_ms,
            caller.owner_of(upload.owner),
            Algorithm(upload.checksum_algorithm) if upload.checksum_algorithm else None,
            ChecksumType(upload.checksum_kind) if upload.checksum_kind else None,
        )
        for upload in page.uploads
    ]
    last = max([(u.key, u.upload_id) for u in uploads] + [(p, "") for p in page.prefixes], default=("", ""))
    more = last if page.truncated else ("", "")
    return xml(xml_write.list_uploads(operation, UploadPage(uploads, page.prefixes, more[0], more[1])))


def delete_objects(
    caller: Caller, operation: operations.DeleteObjects, request: Request, identity: Identity
) -> Response:
    """Delete up to 1,000 keys, each on its own."""
    bucket = caller.bucket(operation.bucket)
    # AWS requires a body digest here; an unsigned one without any would delete whatever arrives.
    wanted = xml_read.read_delete(receive_small(request, identity, length_max=xml_read.XML_BYTES_MAX))
    deleted: list[str] = []
    failed: list[FailedKey] = []
    for one in wanted.keys:
        failure = _delete_one(caller, bucket, one)
        if failure is None:
            deleted.append(one.key)
        else:
            failed.append(failure)
    return xml(xml_write.delete_result([] if wanted.quiet else deleted, failed))


def _delete_one(caller: Caller, bucket: OpenBucket, one: KeyToDelete) -> FailedKey | None:
    if one.version_id not in (None, "null"):
        return FailedKey(one.key, "NoSuchVersion", errors.NoSuchVersion.default_message)
    try:
        delete.delete_object(caller.site, bucket, one.key, one.etag)
    except objects_errors.ObjectsError as no:
        kind = getattr(errors, type(no).__name__, errors.InternalError)
        return FailedKey(one.key, type(no).__name__, kind.default_message)
    return None


def get_acl(caller: Caller, operation: operations.GetAcl) -> Response:
    """The only ACL there is: private to the owner."""
    bucket = caller.bucket(operation.bucket).bucket
    return xml(xml_write.access_control(caller.owner_of(bucket.owner)))


def get_setting(caller: Caller, operation: operations.GetSetting) -> Response:
    """What S3 answers for a setting that nobody has made."""
    caller.bucket(operation.bucket)
    return xml(unset_settings.answer(operation))
