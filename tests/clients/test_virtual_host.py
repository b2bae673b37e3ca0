"""Buckets named by the host instead of the path."""
from tests.clients.conftest import BASE_DOMAIN


def test_boto3_virtual_host(site, virtual_hosts):
    """boto3 in its virtual-host style makes, writes, lists, reads and removes."""
    s3 = site.boto3(endpoint=f"http://{BASE_DOMAIN}:{site.port}", s3={"addressing_style": "virtual"})
    name = "v-bucket"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a/../b//c", Body=b"x")
    assert [e["Key"] for e in s3.list_objects_v2(Bucket=name)["Contents"]] == ["a/../b//c"]
