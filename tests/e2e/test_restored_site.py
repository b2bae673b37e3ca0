"""A site whose tables were restored: what docs/operations/deploy.md says makes it a new incarnation."""

import secrets
from pathlib import Path

import boto3

from tests.services.run import Service
from tests.site_process import aws_site

# As the page has it, for `aws dynamodb delete-item --key`.
RECORD = {"pk": {"S": "site"}, "sk": {"B": b"record"}}
LINKS = {"pk": {"S": "site"}, "sk": {"B": b"links"}}
PAGE = Path(__file__).parent.parent.parent / "docs" / "operations" / "deploy.md"


def test_a_site_without_its_record_is_a_new_incarnation(
    tmp_path: Path, minio: Service, dynamodb: Service
) -> None:
    """Its objects and users are there, its incarnation is another and its links are gone."""
    text = PAGE.read_text()
    assert "cmVjb3Jk" in text and "bGlua3M=" in text  # base64 of record, links
    with aws_site(tmp_path, minio, dynamodb) as site:
        site.boto3().create_bucket(Bucket="kept")
        site.boto3().put_object(Bucket="kept", Key="key", Body=b"bytes" * 10_000)
        before = site.admin("GET", "site")
        site.stop()
        keys = {"aws_access_key_id": minio.access_key, "aws_secret_access_key": minio.secret_key}
        tables = boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, region_name=minio.region, **keys)
        name = f"{site.setting('dynamodb_prefix')}-site"
        there = tables.get_item(TableName=name, Key=RECORD, ConsistentRead=True)
        assert "Item" in there, f"{secrets.token_hex(2)}: the row has another key than the page says"
        for key in (RECORD, LINKS):
            tables.delete_item(TableName=name, Key=key)
        site.start()

        after = site.admin("GET", "site")
        assert (after["site"], after["primary"]) == (before["site"], before["primary"])
        assert after["incarnation"] != before["incarnation"]
        assert site.admin("GET", "links")["links"] == []
        assert site.boto3().get_object(Bucket="kept", Key="key")["Body"].read() == b"bytes" * 10_000
