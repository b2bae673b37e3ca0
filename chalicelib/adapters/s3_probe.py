"""Whether a site's bucket can be used: what is wrong with it, in words for the operator.

    problems(client, bucket, prefix, region)   [] or sentences

Looks   reads a document that is not there: 404 is what a bucket says that can be read and listed
Sees    a missing bucket, one of another region or account, missing permissions to read and list, credentials,
        a service that does not answer. Not the permission to write or delete: S3 has no write without effect
Source  Amazon S3 API Reference: GetObject, "Error responses", "Making requests": redirects.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_ABSENT = "manifests/start"  # documents have hashes for names
_CREDENTIALS = {
    "InvalidAccessKeyId": "the credentials are not valid",
    "SignatureDoesNotMatch": "the credentials are not valid",
    "InvalidToken": "the credentials are not valid",
    "ExpiredToken": "the credentials have expired",
}
_LATER = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout"})


def problems(client: Any, bucket: str, prefix: str, region: str) -> list[str]:
    """What hinders the site."""
    regions: list[str] = []

    def seen(response_dict: dict[str, Any] | None, **_: Any) -> None:
        if response_dict and response_dict["status_code"] >= 300:  # where it is, if it is elsewhere
            regions.append(response_dict["headers"].get("x-amz-bucket-region", ""))

    client.meta.events.register("response-received.s3", seen, unique_id="causeway-probe")
    try:
        told = _told(client, bucket, prefix, region)
    finally:
        client.meta.events.unregister("response-received.s3", seen, unique_id="causeway-probe")
    elsewhere = next((each for each in regions if each and each != region), "")
    if elsewhere:
        return [f"bucket {bucket}: it is in {elsewhere}, not in {region}: set CAUSEWAY_BLOCKS_REGION"]
    return [told] if told else []


def _told(client: Any, bucket: str, prefix: str, region: str) -> str:
    try:
        client.get_object(Bucket=bucket, Key=prefix + _ABSENT)["Body"].close()
    except ClientError as error:
        code, message = (str(error.response.get("Error", {}).get(each, "")) for each in ("Code", "Message"))
        if code == "NoSuchKey" or code in _LATER:
            return ""
        if code in _CREDENTIALS:
            return f"S3: {_CREDENTIALS[code]} ({code})"
        if code == "NoSuchBucket":
            return f"bucket {bucket}: there is no such bucket"
        if code in ("AccessDenied", "403", "Forbidden"):
            needed = f"s3:GetObject on {prefix}blocks/* and {prefix}manifests/*, s3:ListBucket on the bucket"
            return f"bucket {bucket}: grant {needed} to whoever runs this; or it is another account's"
        if code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "301"):
            return f"bucket {bucket}: it is not in {region}: set CAUSEWAY_BLOCKS_REGION ({message})"
        return f"bucket {bucket}: GetObject is answered {code}: {message}"
    except (BotoCoreError, OSError) as error:
        return f"S3 in {region} cannot be used: {error}"
    return ""
