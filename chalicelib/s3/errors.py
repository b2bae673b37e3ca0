"""Every error the S3 front end can answer: class name = S3 code, plus status and message.

In      nothing; raise one with detail fields for the XML body and headers for the answer
Out     S3Error: code, status, message, detail (XML element → text), headers
Errors  these are the errors; match on the class, never on the text
Source  Amazon S3 API reference "Error responses"; style of OpenStack Swift s3response.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class S3Error(Exception):
    """An S3 error answer. `detail` becomes elements of the XML body (BucketName, Key, …)."""

    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "Internal error"

    def __init_subclass__(cls, *, status: int, message: str) -> None:
        cls.status = status
        cls.default_message = message

    def __init__(
        self,
        message: str | None = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        **detail: str,
    ) -> None:
        self.message = message if message is not None else self.default_message
        self.headers = tuple(headers)
        self.detail = detail
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The S3 error code, which is the name of the class."""
        return type(self).__name__


class AccessControlListNotSupported(
    S3Error,
    status=400,
    message="The bucket does not allow ACLs",
): ...


class AccessDenied(S3Error, status=403, message="Access Denied"): ...


class AuthorizationHeaderMalformed(
    S3Error,
    status=400,
    message="The authorization header that you provided is not valid.",
): ...


class AuthorizationQueryParametersError(
    S3Error, status=400, message="The authorization query parameters are not valid."
): ...


class BadDigest(
    S3Error, status=400, message="The Content-MD5 or checksum you specified did not match what we received."
): ...


class BucketAlreadyExists(
    S3Error, status=409, message="The requested bucket name is not available. Please select another name."
): ...


class BucketAlreadyOwnedByYou(S3Error, status=409, message="You already own this bucket."): ...


class BucketNotEmpty(
    S3Error,
    status=409,
    message="The bucket you tried to delete is not empty",
): ...


class ConditionalRequestConflict(
    S3Error, status=409, message="A conflicting conditional operation occurred. Retry the request."
): ...


class EntityTooLarge(
    S3Error,
    status=400,
    message="Your proposed upload exceeds the maximum allowed size",
): ...


class EntityTooSmall(
    S3Error,
    status=400,
    message="Your proposed upload is smaller than the minimum allowed size",
): ...


class IllegalLocationConstraintException(
    S3Error, status=400, message="The location constraint does not fit the region of this endpoint."
): ...


class IncompleteBody(
    S3Error, status=400, message="The body is not as long, or not framed, as the request said."
): ...


class InsufficientStorage(
    S3Error,
    status=507,
    message="The server has no room left to store this object.",
): ...


class InternalError(
    S3Error,
    status=500,
    message="We encountered an internal error. Please try again.",
): ...


class InvalidAccessKeyId(
    S3Error,
    status=403,
    message="The AWS Access Key Id you provided does not exist in our records.",
): ...


class InvalidArgument(S3Error, status=400, message="Invalid Argument"): ...


class InvalidBucketName(S3Error, status=400, message="The specified bucket is not valid."): ...


class InvalidChunkSizeError(
    S3Error,
    status=403,
    message="Only the last chunk is allowed to have a size less than 8192 bytes",
): ...


class InvalidDigest(S3Error, status=400, message="The Content-MD5 you specified is not valid."): ...


class InvalidLocationConstraint(
    S3Error,
    status=400,
    message="The specified location constraint is not valid.",
): ...


class InvalidPart(
    S3Error, status=400, message="One or more of the specified parts could not be found, or an ETag differs."
): ...


class InvalidPartNumber(
    S3Error,
    status=416,
    message="The requested partnumber is not satisfiable",
): ...


class InvalidPartOrder(
    S3Error, status=400, message="The list of parts was not in ascending order by part number."
): ...


class InvalidRange(S3Error, status=416, message="The requested range is not satisfiable"): ...


class InvalidRequest(S3Error, status=400, message="Invalid Request"): ...


class InvalidStorageClass(
    S3Error,
    status=400,
    message="The storage class you specified is not valid",
): ...


class InvalidToken(
    S3Error,
    status=400,
    message="The provided token is malformed or otherwise not valid.",
): ...


class InvalidURI(S3Error, status=400, message="Couldn't parse the specified URI."): ...


class KeyTooLongError(S3Error, status=400, message="Your key is too long"): ...


class MalformedTrailerError(
    S3Error, status=400, message="The request contained trailing data that was not well-formed."
): ...


class MalformedXML(
    S3Error, status=400, message="The XML was not well-formed or did not validate against our schema."
): ...


class MaxMessageLengthExceeded(S3Error, status=400, message="Your request was too big."): ...


class MetadataTooLarge(
    S3Error,
    status=400,
    message="Your metadata headers exceed the maximum allowed metadata size",
): ...


class MethodNotAllowed(
    S3Error,
    status=405,
    message="The specified method is not allowed against this resource.",
): ...


class MissingContentLength(
    S3Error,
    status=411,
    message="You must provide the Content-Length HTTP header.",
): ...


class MissingRequestBodyError(S3Error, status=400, message="Request Body is empty"): ...


class MissingSecurityHeader(
    S3Error,
    status=400,
    message="Your request was missing a required header",
): ...


class NoSuchBucket(S3Error, status=404, message="The specified bucket does not exist"): ...


class NoSuchBucketPolicy(S3Error, status=404, message="The bucket policy does not exist"): ...


class NoSuchCORSConfiguration(
    S3Error,
    status=404,
    message="The CORS configuration does not exist",
): ...


class NoSuchKey(S3Error, status=404, message="The specified key does not exist."): ...


class NoSuchLifecycleConfiguration(
    S3Error,
    status=404,
    message="The lifecycle configuration does not exist",
): ...


class NoSuchObjectLockConfiguration(
    S3Error,
    status=404,
    message="The specified object does not have a ObjectLock configuration",
): ...


class NoSuchPublicAccessBlockConfiguration(
    S3Error,
    status=404,
    message="The public access block configuration was not found",
): ...


class NoSuchTagSet(S3Error, status=404, message="The TagSet does not exist"): ...


class NoSuchUpload(
    S3Error, status=404, message="The upload does not exist; it may have been aborted or completed."
): ...


class NoSuchVersion(S3Error, status=404, message="The specified version does not exist."): ...


class NoSuchWebsiteConfiguration(
    S3Error,
    status=404,
    message="The specified bucket does not have a website configuration",
): ...


class NotImplemented(
    S3Error, status=501, message="A header or query you provided asks for what is not implemented."
): ...


class NotModified(S3Error, status=304, message="Not Modified"): ...


class ObjectLockConfigurationNotFoundError(
    S3Error,
    status=404,
    message="Object Lock configuration does not exist for this bucket",
): ...


class OperationAborted(
    S3Error, status=409, message="A conflicting operation is in progress on this resource. Please try again."
): ...


class OwnershipControlsNotFoundError(
    S3Error,
    status=404,
    message="The bucket ownership controls were not found",
): ...


class PreconditionFailed(
    S3Error,
    status=412,
    message="At least one of the pre-conditions you specified did not hold",
): ...


class ReplicationConfigurationNotFoundError(
    S3Error,
    status=404,
    message="The replication configuration was not found",
): ...


class RequestHeaderSectionTooLarge(
    S3Error, status=400, message="Your request headers exceed the maximum allowed size."
): ...


class RequestTimeTooSkewed(
    S3Error, status=403, message="The difference between request time and current time is too large."
): ...


class RequestTimeout(
    S3Error, status=400, message="Your connection was not read from or written to within the time limit."
): ...


class ServerSideEncryptionConfigurationNotFoundError(
    S3Error,
    status=404,
    message="The server side encryption configuration was not found",
): ...


class ServiceUnavailable(S3Error, status=503, message="Service is unable to handle request."): ...


class SignatureDoesNotMatch(
    S3Error, status=403, message="The signature we calculated is not the one you provided. Check your key."
): ...


class SlowDown(S3Error, status=503, message="Please reduce your request rate."): ...


class TooManyBuckets(
    S3Error,
    status=400,
    message="You have attempted to create more buckets than allowed",
): ...


class TooManyParts(
    S3Error,
    status=400,
    message="You have attempted to upload more parts than allowed",
): ...


class UnexpectedContent(S3Error, status=400, message="This request does not support content"): ...


class XAmzContentSHA256Mismatch(
    S3Error, status=400, message="The 'x-amz-content-sha256' you sent does not match the body."
): ...
