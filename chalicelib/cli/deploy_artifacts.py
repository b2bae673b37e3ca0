"""The artifact bucket of an account and region, and what is uploaded to it.

    uri = Artifacts(aws).upload(path)            s3://…/<SHA-256>/<name>, sent only if it is not there
    url = Artifacts(aws).upload_text(text, …)    https://…, as CloudFormation takes templates

Promise  made if missing: encrypted, closed to the public, TLS only; never one of another account's
Source   S3 API Reference: "x-amz-expected-bucket-owner"; "Blocking public access"; default encryption SSE-S3.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from chalicelib.cli.deploy_aws import Aws, code_of, in_words
from chalicelib.cli.failure import Exit, Failure

_ABSENT = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}


class Artifacts:
    """Where packages wait for Lambda and CloudFormation to fetch them."""

    def __init__(self, aws: Aws) -> None:
        self.bucket = f"causeway-artifacts-{aws.account}-{aws.region}"
        self._aws = aws
        self._s3 = aws.client("s3")
        self._ready = False

    def upload(self, path: Path) -> str:
        """Send a file; where it is."""
        return f"s3://{self.bucket}/{self._send(path.read_bytes(), path.name)}"

    def upload_text(self, text: str, name: str) -> str:
        """Send a text; its URL."""
        key = self._send(text.encode(), name)
        suffix = "amazonaws.com.cn" if self._aws.region.startswith("cn-") else "amazonaws.com"
        return f"https://{self.bucket}.s3.{self._aws.region}.{suffix}/{key}"

    def _send(self, body: bytes, name: str) -> str:
        from botocore.exceptions import ClientError

        key = f"{sha256(body).hexdigest()}/{name}"
        with in_words(self._aws.region):
            self._make()
            try:
                self._s3.head_object(Key=key, **self._ours())
                return key
            except ClientError as problem:
                if code_of(problem) not in _ABSENT:
                    raise
            self._s3.put_object(Key=key, Body=body, **self._ours())
        return key

    def _make(self) -> None:
        """Make the bucket unless it is there and ours."""
        from botocore.exceptions import ClientError

        if self._ready:
            return
        try:
            self._s3.head_bucket(**self._ours())
        except ClientError as problem:
            if code_of(problem) in ("403", "AccessDenied", "Forbidden"):
                raise Failure(
                    Exit.REFUSED,
                    f"the bucket {self.bucket} is another account's, or these credentials may not see it",
                ) from problem
            if code_of(problem) not in _ABSENT:
                raise
            self._create()
        self._ready = True

    def _create(self) -> None:
        place: dict[str, Any] = {}
        if self._aws.region != "us-east-1":  # the one region that must not be named
            place["CreateBucketConfiguration"] = {"LocationConstraint": self._aws.region}
        self._s3.create_bucket(Bucket=self.bucket, ObjectOwnership="BucketOwnerEnforced", **place)
        self._s3.put_public_access_block(
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            **self._ours(),
        )
        by_default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        self._s3.put_bucket_encryption(
            ServerSideEncryptionConfiguration={"Rules": [by_default]}, **self._ours()
        )
        if not self._aws.endpoint_url.startswith("http://"):  # LocalStack or moto, without TLS
            self._s3.put_bucket_policy(Policy=json.dumps(self._only_tls()), **self._ours())

    def _only_tls(self) -> dict[str, Any]:
        arn = f"arn:{_partition(self._aws.region)}:s3:::{self.bucket}"
        refused = {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [refused]}

    def _ours(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "ExpectedBucketOwner": self._aws.account}


def _partition(region: str) -> str:
    import botocore.session

    partition: str = botocore.session.get_session().get_partition_for_region(region)
    return partition
