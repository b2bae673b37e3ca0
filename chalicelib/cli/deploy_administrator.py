"""`causeway deploy administrator`: invoke the function that makes a new site's first administrator.

The keys are in its answer and nowhere else: shown once, or left in a profile of ~/.aws that is new.
Errors  Failure: REFUSED the site has users already, or these credentials may not invoke · USAGE no such stack
Source  Lambda API Reference "Invoke"; AWS SDK "Shared config and credentials files".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from chalicelib.cli.deploy_aws import Aws, code_of, in_words
from chalicelib.cli.deploy_package import APP
from chalicelib.cli.deploy_stack import Stack
from chalicelib.cli.deploy_template import stage_variables
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import Output

FUNCTION = "administrator"


def make(
    out: Output, project: Path, stage: str, profile_name: str, profile: str, aws_endpoint_url: str
) -> None:
    """Have the administrator made; show or keep the keys."""
    variables = stage_variables(project, stage)
    name, region = f"{APP}-{variables['CAUSEWAY_SITE']}", variables["CAUSEWAY_REGION"]
    files = _Files(profile_name) if profile_name else None  # refused before anything is made
    aws = Aws(profile, region, aws_endpoint_url)
    endpoint = Stack(aws, name).outputs().get("GatewayURL", "").rstrip("/")
    if not endpoint:
        raise usage(f"there is no stack {name} in {region}: `causeway deploy apply --stage {stage}` makes it")
    keys = _invoke(aws, f"{name}-{FUNCTION}", stage)
    if files is not None:
        files.write(keys, endpoint, region)
        out.value(
            {"profile": profile_name, "access_key": keys["access_key"], "endpoint": endpoint},
            f"profile {profile_name} now holds the keys of {keys['access_key']}: "
            f"`aws --profile {profile_name} s3 ls`, `causeway status --profile {profile_name}`",
        )
        return
    out.value(
        {**keys, "endpoint": endpoint},
        f"export AWS_ACCESS_KEY_ID={keys['access_key']}",
        f"export AWS_SECRET_ACCESS_KEY={keys['secret_key']}",
        f"export AWS_ENDPOINT_URL={endpoint}",
    )
    out.note("Keep the secret key: it is not shown again.")


def _invoke(aws: Aws, function: str, stage: str) -> dict[str, str]:
    from botocore.exceptions import ClientError

    with in_words(aws.region):
        try:
            answer = aws.client("lambda").invoke(FunctionName=function, Payload=b"{}")
            said: Any = json.loads(answer["Payload"].read() or b"null")
        except ClientError as problem:
            if code_of(problem) == "ResourceNotFoundException":
                raise usage(
                    f"there is no function {function}: `causeway deploy apply --stage {stage}`"
                ) from problem
            raise
    if answer.get("FunctionError"):
        said = said if isinstance(said, dict) else {}
        raise Failure(
            Exit.REFUSED, f"{function}: {said.get('errorMessage', 'ended in an error; its log says why')}"
        )
    if not isinstance(said, dict) or not {"access_key", "secret_key"} <= said.keys():
        told = said.get("message") or said.get("error") if isinstance(said, dict) else None
        raise Failure(Exit.REFUSED, f"{function}: {told or 'the site has an administrator already'}")
    return {"access_key": str(said["access_key"]), "secret_key": str(said["secret_key"])}


class _Files:
    """~/.aws/credentials and config, to which one profile is added; what is there already is not touched."""

    def __init__(self, profile: str) -> None:
        import botocore.session

        if not profile.strip() or any(letter in profile for letter in "[]\n\r#;"):
            raise usage(f"{profile!r} cannot be the name of a profile")
        session = botocore.session.get_session()
        if profile in session.available_profiles:
            raise usage(f"there is a profile {profile} already: choose another name, or remove that one")
        self._profile = profile
        self._credentials = Path(str(session.get_config_variable("credentials_file"))).expanduser()
        self._config = Path(str(session.get_config_variable("config_file"))).expanduser()

    def write(self, keys: dict[str, str], endpoint: str, region: str) -> None:
        """Add the profile."""
        _append(
            self._credentials,
            f"[{self._profile}]",
            f"aws_access_key_id = {keys['access_key']}",
            f"aws_secret_access_key = {keys['secret_key']}",
        )
        _append(
            self._config,
            f"[profile {self._profile}]",
            f"region = {region}",
            f"endpoint_url = {endpoint}",
            "s3 =",
            "  signature_version = s3v4",
            "  addressing_style = path",
        )


def _append(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(fd, "a") as file:
        file.write("\n".join(["", *lines, ""]))
