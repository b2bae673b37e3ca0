"""Which site a command speaks to, and as whom.

    --data DIR                      DIR/admin.json, left there by the first `causeway serve` of DIR
    --endpoint-url URL              with credentials as every AWS tool finds them: AWS_ACCESS_KEY_ID …,
                                    --profile or AWS_PROFILE, ~/.aws; a profile may name endpoint_url too
    both                            the keys of DIR at URL

Errors  Failure(USAGE), naming what to give
Source  AWS SDK "standardized credential providers"; there are no default keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.cli.failure import Failure, usage
from chalicelib.domain.endpoints import check_endpoint

ANY_REGION = "us-east-1"
ADMIN_FILE = "admin.json"
TABLES_FILE = "tables.sqlite"  # there since the first start of a directory


@dataclass(frozen=True, slots=True)
class Said:
    """The options that say where a site is and whose keys to use: of the site itself, or of a sink."""

    endpoint: str
    keys: str
    site: str


SITE = Said(
    "--endpoint-url",
    "--endpoint-url with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile",
    "--data DIR, or --endpoint-url URL with AWS credentials",
)
SINK = Said(
    "--sink",
    "--sink with --sink-access-key and CAUSEWAY_SINK_SECRET_KEY, or with --sink-profile",
    "--sink URL, or a --sink-profile with endpoint_url",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A site's admin API and the keys to speak to it with."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = ANY_REGION
    ca_bundle: str = ""
    said: Said = SITE


def find(endpoint_url: str, data: Path | None, profile: str, ca_bundle: str) -> Place:
    """The place that the options and the environment name."""
    if data is not None:
        return of_data(data, endpoint_url, ca_bundle)
    return of_credentials(endpoint_url, profile, ca_bundle)


def of_data(data: Path, endpoint_url: str = "", ca_bundle: str = "", said: Said = SITE) -> Place:
    """The site whose data directory is `data`."""
    path = data / ADMIN_FILE
    try:
        fields = json.loads(path.read_text())
        endpoint = endpoint_url or fields["endpoint"]
        keys = fields["access_key"], fields["secret_key"]
        return make(endpoint, *keys, ca_bundle=ca_bundle, said=said)
    except FileNotFoundError:
        raise usage(_not_there(data, said)) from None
    except OSError as problem:
        raise usage(f"{path} cannot be read: {problem.strerror}") from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise usage(f"{path} does not hold an administrator's keys: {problem}") from problem


def _not_there(data: Path, said: Said) -> str:
    """No start brings back what the operator took away; where the tables are elsewhere, it may be either."""
    path = data / ADMIN_FILE
    if (data / TABLES_FILE).exists():
        return f"{path} is not there (removed?): use {said.keys}"
    return (
        f"{path} is not there: start the site once with `causeway serve --data {data}`; "
        f"if it was removed, use {said.keys}"
    )


def of_credentials(endpoint_url: str, profile: str, ca_bundle: str = "", said: Said = SITE) -> Place:
    """The site at `endpoint_url`, with keys from the AWS credentials chain."""
    session = _session(profile)
    scoped: dict[str, Any] = session.get_scoped_config() if _has_profile(session) else {}
    endpoint = endpoint_url or str(scoped.get("endpoint_url", ""))
    if not endpoint:
        raise usage(f"say which site: {said.site}")
    keys = session.get_credentials()
    if keys is None:
        raise usage("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use --profile")
    frozen = keys.get_frozen_credentials()
    region = session.get_config_variable("region") or ANY_REGION
    return make(endpoint, frozen.access_key, frozen.secret_key, region, ca_bundle, said)


def make(
    endpoint: str,
    access_key: str,
    secret_key: str,
    region: str = ANY_REGION,
    ca_bundle: str = "",
    said: Said = SITE,
) -> Place:
    """A place, once it is certain that secrets would not cross a network in clear."""
    parts = urlsplit(endpoint)  # a path is the stage of a REST API
    try:
        bare = parts._replace(path="").geturl() if parts.netloc else endpoint
        checked = check_endpoint(bare) + parts.path.rstrip("/")
    except ValueError as problem:
        raise usage(str(problem)) from problem
    if ca_bundle and not Path(ca_bundle).is_file():
        raise usage(f"{ca_bundle}: there is no such CA file")
    return Place(checked, access_key, secret_key, region, ca_bundle, said)


def _session(profile: str) -> Any:
    import botocore.session  # late: a fifth of a second that --data and --help need not wait for

    return botocore.session.Session(profile=profile or None)


def _has_profile(session: Any) -> bool:
    from botocore.exceptions import ProfileNotFound

    try:
        session.get_scoped_config()
    except ProfileNotFound as problem:
        raise Failure(usage("").exit, f"{problem}; `aws configure list-profiles` lists them") from problem
    return True
