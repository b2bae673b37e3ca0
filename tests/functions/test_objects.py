"""Objects through the fronts: tests the streaming server passes too, and what a front makes different."""

from tests.clients.test_boto3_objects import test_headers_and_metadata_come_back

__all__ = ["test_headers_and_metadata_come_back"]


def test_small(s3, bucket):
    """A few bytes."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
