"""What a use case tells its caller when the answer is no. Class names are S3's codes, so the S3 layer
maps them by name; `StoreError`s of the ports pass through untouched.

Source  AWS S3 API reference, "Error responses".
"""


class ObjectsError(Exception):
    """Base: the request was understood and is refused; nothing was changed."""


class NoSuchBucket(ObjectsError):
    """No open bucket of that name."""


class NoSuchKey(ObjectsError):
    """The key holds nothing, or a tombstone."""


class NoSuchUpload(ObjectsError):
    """The upload was never opened, is closing, or belongs to another key."""


class PreconditionFailed(ObjectsError):
    """An If-Match or If-None-Match did not hold."""


class BucketAlreadyExists(ObjectsError):
    """The name belongs to somebody else."""


class BucketAlreadyOwnedByYou(ObjectsError):
    """The name is already the caller's."""


class BucketNotEmpty(ObjectsError):
    """A key or an open upload is still there, here or at a linked site."""


class TooManyBuckets(ObjectsError):
    """The owner has as many buckets as one user may have."""


class InvalidPart(ObjectsError):
    """A named part was never uploaded, or its ETag differs."""


class InvalidPartOrder(ObjectsError):
    """Parts must be named in ascending order."""


class EntityTooSmall(ObjectsError):
    """Every part but the last must reach the least part size."""


class EntityTooLarge(ObjectsError):
    """More bytes than any object may have."""


class NotImplemented(ObjectsError):
    """This site, as it is set up, cannot do that at all."""


class InvalidRequest(ObjectsError):
    """Well-formed, but it cannot be done this way."""


class AccessDenied(ObjectsError):
    """Known and not allowed."""


class MethodNotAllowed(ObjectsError):
    """This site does not take writes."""


class OperationAborted(ObjectsError):
    """Another operation on the same name is in progress; try again."""


class UserAlreadyExists(ObjectsError):
    """The e-mail address or access key is taken."""


class NoSuchUser(ObjectsError):
    """No user has that access key."""
