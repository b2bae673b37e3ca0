"""Settings clients probe and nobody can set here: what S3 answers while they are not configured.

In      GetSetting, after the dispatcher has found its bucket (and key)
Out     the XML of an empty setting
Errors  the S3 'not configured' error of that setting
Source  Amazon S3 API reference; what aws cli, s3cmd, rclone, mc and Terraform probe
"""

from __future__ import annotations

from chalicelib.s3 import errors
from chalicelib.s3.operations import GetSetting
from chalicelib.s3.xml_write import empty

# name → the error S3 answers, or the root element and its content.
_BUCKET: dict[str, type[errors.S3Error] | tuple[str, str]] = {
    "accelerate": ("AccelerateConfiguration", ""),
    "cors": errors.NoSuchCORSConfiguration,
    "encryption": errors.ServerSideEncryptionConfigurationNotFoundError,
    "lifecycle": errors.NoSuchLifecycleConfiguration,
    "logging": ("BucketLoggingStatus", ""),
    "notification": ("NotificationConfiguration", ""),
    "object-lock": errors.ObjectLockConfigurationNotFoundError,
    "ownershipControls": errors.OwnershipControlsNotFoundError,
    "policy": errors.NoSuchBucketPolicy,
    "policyStatus": errors.NoSuchBucketPolicy,
    "publicAccessBlock": errors.NoSuchPublicAccessBlockConfiguration,
    "replication": errors.ReplicationConfigurationNotFoundError,
    "requestPayment": ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    "tagging": errors.NoSuchTagSet,
    "versioning": ("VersioningConfiguration", ""),
    "website": errors.NoSuchWebsiteConfiguration,
}
_OBJECT: dict[str, type[errors.S3Error] | tuple[str, str]] = {
    "legal-hold": errors.NoSuchObjectLockConfiguration,
    "retention": errors.NoSuchObjectLockConfiguration,
    "tagging": ("Tagging", "<TagSet></TagSet>"),
}
BUCKET_SETTINGS = frozenset(_BUCKET)
OBJECT_SETTINGS = frozenset(_OBJECT)


def answer(operation: GetSetting) -> bytes:
    """The body of the 200, or the error S3 answers."""
    found = (_OBJECT if operation.key else _BUCKET)[operation.name]
    if isinstance(found, tuple):
        return empty(*found)
    if operation.key:
        raise found(Key=operation.key)
    raise found(BucketName=operation.bucket)
