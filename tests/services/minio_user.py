"""A user of a MinIO for a site, as infra/container/minio-policy.json has it: never root.

    user_of(service, "blocks")      keys that open this bucket only
    user_of(service)                keys that open every bucket, under the same refusal

MinIO checks no signature of a PUT with STREAMING-UNSIGNED-PAYLOAD-TRAILER and the access key in its query:
what that user may write, anybody may who has seen a presigned URL. A policy can refuse it; root has none.
"""

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from minio import MinioAdmin
from minio.credentials import StaticProvider

if TYPE_CHECKING:
    from tests.services.run import Service

POLICY = Path(__file__).parents[2] / "infra" / "container" / "minio-policy.json"
PLACE = "causeway-west-blocks"  # as it stands there


def user_of(root: "Service", bucket: str = "") -> "Service":
    """The same MinIO by a new user."""
    text = POLICY.read_text().replace(PLACE, bucket or "*")
    policy = json.loads(text)
    if not bucket:  # tests make and drop buckets
        policy["Statement"].append({"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]})
    access_key, secret_key = f"u{secrets.token_hex(9)}", secrets.token_hex(20)
    admin = MinioAdmin(
        endpoint=urlsplit(root.endpoint).netloc,
        credentials=StaticProvider(root.access_key, root.secret_key),
        secure=False,
    )
    name = f"policy-{access_key}"
    admin.user_add(access_key, secret_key)
    admin.policy_add(name, policy=policy)
    admin.attach_policy([name], user=access_key)
    return replace(root, access_key=access_key, secret_key=secret_key)
