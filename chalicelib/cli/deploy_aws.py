"""AWS as `causeway deploy` reaches it: clients of one region, and failures in plain words.

    aws = Aws(profile, region, endpoint_url)      aws.client("cloudformation")
    with in_words(aws): …                         what AWS says no to becomes a Failure

Endpoints that a profile or AWS_ENDPOINT_URL names are not used: on an operator's machine they are the site's.
Errors  Failure: USAGE no or wrong credentials · UNREACHABLE · REFUSED, with what AWS said
Source  AWS SDK, "standardized credential providers"; CloudFormation, Lambda, S3 API references: errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chalicelib.cli.failure import Exit, Failure, usage

_NO_ENTRY = {
    "ExpiredToken": "the credentials have expired: sign in again",
    "ExpiredTokenException": "the credentials have expired: sign in again",
    "InvalidClientTokenId": "AWS does not know these credentials",
    "UnrecognizedClientException": "AWS does not know these credentials",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "InvalidAccessKeyId": "AWS does not know these credentials",
    "AuthFailure": "AWS does not know these credentials",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"}
_ELSEWHERE = {
    "PermanentRedirect",
    "301",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}


@dataclass(frozen=True)
class Aws:
    """One account in one region."""

    profile: str
    region: str
    endpoint_url: str = ""

    def client(self, service: str) -> Any:
        """A client that tries again what may be tried again."""
        from botocore.config import Config

        return self._session.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url or None,
            config=Config(
                retries={"mode": "standard", "max_attempts": 5}, ignore_configured_endpoint_urls=True
            ),
        )

    @cached_property
    def account(self) -> str:
        """Whose credentials these are."""
        with in_words(self.region):
            account: str = self.client("sts").get_caller_identity()["Account"]
        return account

    @cached_property
    def _session(self) -> Any:
        import boto3  # late: half a second that --help need not wait for
        from botocore.exceptions import ProfileNotFound

        try:
            return boto3.session.Session(profile_name=self.profile or None)
        except ProfileNotFound as problem:
            raise usage(f"{problem}; `aws configure list-profiles` lists them") from problem


@contextmanager
def in_words(region: str) -> Iterator[None]:
    """What AWS fails with, as a Failure that says what to do."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        EndpointConnectionError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as problem:
        raise _failure(problem, region) from problem
    except (NoCredentialsError, PartialCredentialsError) as problem:
        raise usage(
            "no AWS credentials: use --profile or AWS_PROFILE, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows whose they are"
        ) from problem
    except (EndpointConnectionError, HTTPClientError) as problem:
        raise Failure(Exit.UNREACHABLE, f"AWS does not answer in {region}: {problem}") from problem
    except (BotoCoreError, ResponseParserError) as problem:
        raise Failure(Exit.REFUSED, f"{type(problem).__name__}: {problem}") from problem


def code_of(problem: Any) -> str:
    """The code of a ClientError."""
    return str(problem.response.get("Error", {}).get("Code", ""))


def message_of(problem: Any) -> str:
    """What AWS says of a ClientError."""
    return str(problem.response.get("Error", {}).get("Message", problem))


def _failure(problem: Any, region: str) -> Failure:
    code, said = code_of(problem), message_of(problem)
    if code in _NO_ENTRY:
        return usage(f"{_NO_ENTRY[code]} ({said})")
    if code in _DENIED:
        return Failure(
            Exit.REFUSED, f"these credentials may not {problem.operation_name} in {region}: {said}", code
        )
    if code in _ELSEWHERE:
        return Failure(
            Exit.REFUSED,
            f"{problem.operation_name}: that is in another region than {region}, the stage's: {said}",
            code,
        )
    return Failure(Exit.REFUSED, f"{problem.operation_name}: {said} ({code})", code)
