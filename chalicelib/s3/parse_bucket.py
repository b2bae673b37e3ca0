"""Service and bucket operations, from a routed request.

In      Call
Out     one operation
Units   pages in entries
Errors  InvalidArgument, and what attributes.refuse_unsupported raises
Source  Amazon S3 API reference
"""

from __future__ import annotations

from chalicelib.s3 import errors, names, operations
from chalicelib.s3.attributes import refuse_unsupported
from chalicelib.s3.call import Call


def list_buckets(call: Call) -> operations.ListBuckets:
    token = call.param("continuation-token")
    return operations.ListBuckets(
        call.key_param("prefix"),
        names.parse_count("max-buckets", call.params.get("max-buckets"), most=10_000),
        names.decode_token(token) if token else "",
    )


def create_bucket(call: Call) -> operations.CreateBucket:
    refuse_unsupported(call.request.headers)
    ownership = call.header("x-amz-object-ownership")
    if ownership not in (None, "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"):
        raise errors.InvalidArgument(
            "Invalid x-amz-object-ownership header", ArgumentName="x-amz-object-ownership"
        )
    return operations.CreateBucket(call.bucket)


def head_bucket(call: Call) -> operations.HeadBucket:
    return operations.HeadBucket(call.bucket)


def delete_bucket(call: Call) -> operations.DeleteBucket:
    return operations.DeleteBucket(call.bucket)


def get_bucket_location(call: Call) -> operations.GetBucketLocation:
    return operations.GetBucketLocation(call.bucket)


def list_objects(call: Call) -> operations.ListObjects:
    return operations.ListObjects(
        call.bucket,
        call.key_param("prefix"),
        call.key_param("delimiter"),
        call.count("max-keys"),
        call.encoding_url(),
        call.key_param("marker"),
    )


def list_objects_v2(call: Call) -> operations.ListObjectsV2:
    if call.param("list-type") != "2":
        raise errors.InvalidArgument("Invalid List Type specified in Request", ArgumentName="list-type")
    token = call.param("continuation-token")
    if not token and "continuation-token" in call.params:
        raise errors.InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        )
    return operations.ListObjectsV2(
        call.bucket,
        call.key_param("prefix"),
        call.key_param("delimiter"),
        call.count("max-keys"),
        call.encoding_url(),
        call.key_param("start-after"),
        token,
        names.decode_token(token) if token else "",
        call.param("fetch-owner") == "true",
    )


def list_multipart_uploads(call: Call) -> operations.ListMultipartUploads:
    key_marker = call.key_param("key-marker")
    id_marker = call.param("upload-id-marker") if key_marker else ""
    if id_marker:
        try:
            names.check_upload_id(id_marker)
        except errors.NoSuchUpload:
            raise errors.InvalidArgument("Invalid uploadId marker", ArgumentName="upload-id-marker") from None
    return operations.ListMultipartUploads(
        call.bucket,
        call.key_param("prefix"),
        call.key_param("delimiter"),
        call.count("max-uploads"),
        call.encoding_url(),
        key_marker,
        id_marker,
    )


def delete_objects(call: Call) -> operations.DeleteObjects:
    refuse_unsupported(call.request.headers)
    return operations.DeleteObjects(call.bucket)
