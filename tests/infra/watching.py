"""What each packaged function of a world really asks of AWS, as the actions IAM would be asked about.

    with watched(world) as calls:        a relay before every store; SDKs say which function they are in
        …
    calls                                {Call(stage, function, action, resource, context), …}

Resources are named as the stacks name them, whatever a test run calls its tables, bucket and queues.
Source  Service Authorization Reference: DynamoDB (TransactWriteItems by its parts), S3, SQS, KMS.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.functions.world import World
from tests.infra.roles import ACCOUNT, KEY
from tests.lambda_host.deployed import DeployedSite
from tests.services.faulty import faulty

STORES = ("CAUSEWAY_DYNAMODB_ENDPOINT", "CAUSEWAY_BLOCKS_ENDPOINT", "CAUSEWAY_SQS_ENDPOINT")
_PROBE = '"pk": {"S": "probe"}'  # adapters/dynamodb/probe.py
_APP = re.compile(r"\bapp/(\S+)")
PARTS = {"Put": "PutItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem", "Get": "GetItem"}


class Call(NamedTuple):
    """One thing a function did."""

    stage: str
    function: str
    action: str
    resource: str
    context: str = ""  # KMS: the site in the encryption context; DynamoDB: the partition of what is written


@contextmanager
def watched(world: World) -> Iterator[set[Call]]:
    """Before any function of the world has started."""
    calls: set[Call] = set()
    names = _Names(world.sites)
    with ExitStack() as stack:
        for site in world.sites:
            for place in STORES:
                relay = stack.enter_context(faulty(site.environment[place]))
                relay.saw = _teller(calls, names)
                site.environment[place] = relay.endpoint
            for function in site.host.functions:
                own = site.host.of_function.setdefault(function, {})
                own["AWS_SDK_UA_APP_ID"] = f"{site.package.stage}-{function}"
                # The code that asks KMS is no SDK and names nobody.
                relay = stack.enter_context(faulty(site.environment["CAUSEWAY_KMS_ENDPOINT"]))
                relay.saw = _teller(calls, names, f"{site.package.stage}-{function}")
                own["CAUSEWAY_KMS_ENDPOINT"] = relay.endpoint
        yield calls


def _teller(calls: set[Call], names: "_Names", caller: str = "") -> Any:
    def saw(method: str, path: str, headers: Any, body: bytes) -> None:
        found = _APP.search(headers.get("User-Agent", ""))
        who = caller or (found[1] if found else "")
        if who:
            stage, _, function = who.partition("-")
            told = asked(names, method, path, headers, body)
            calls.update(Call(stage, function, *one) for one in told)

    return saw


def asked(
    names: "_Names", method: str, path: str, headers: Any, body: bytes
) -> Iterator[tuple[str, str, str]]:
    """The actions of one request, each on what."""
    target = headers.get("X-Amz-Target", "")
    if not target:
        yield from ((*one, "") for one in _s3(names, method, path, headers, body))
        return
    service, _, operation = target.partition(".")
    plain = json.loads(body)
    if service.startswith("DynamoDB"):
        yield from _dynamodb(names, operation, plain)
    elif service == "AmazonSQS":
        yield f"sqs:{operation}", names.of_queue(plain["QueueUrl"]), ""
    else:
        context = plain.get("EncryptionContext", {}).get("causeway:site", "")
        yield f"kms:{operation}", names.of_key(context), context


def _dynamodb(names: "_Names", operation: str, plain: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "TransactItems" not in plain:
        if _PROBE in json.dumps(plain):
            return
        yield f"dynamodb:{operation}", names.of_table(plain["TableName"]), _partition(plain)
        return
    for part in plain["TransactItems"]:
        ((kind, told),) = part.items()
        if kind == "Put" and _PROBE in json.dumps(told):
            continue  # asked at each start, of what a function's Powers say
        yield f"dynamodb:{PARTS[kind]}", names.of_table(told["TableName"]), _partition(told)


def _partition(told: dict[str, Any]) -> str:
    """Of the site table alone: elsewhere a role has all or nothing, and there are too many of them."""
    row = told.get("Item") or told.get("Key") or {}
    return row["pk"]["S"].partition("/")[0] if told["TableName"].endswith("-site") and row else ""


def _s3(names: "_Names", method: str, path: str, headers: Any, body: bytes) -> Iterator[tuple[str, str]]:
    parts = urlsplit(path)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    where = names.of_bucket(bucket)
    if method == "POST" and "delete" in query:
        yield "s3:DeleteObject", f"{where}/blocks/"
    elif not key:
        yield "s3:ListBucket", where
    elif method == "PUT":
        yield "s3:PutObject", f"{where}/{key}"
        source = headers.get("x-amz-copy-source")
        if source:
            yield "s3:GetObject", f"{where}/{unquote(source).lstrip('/').partition('/')[2]}"
    else:
        yield (
            {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "DELETE": "s3:DeleteObject"}[method],
            f"{where}/{key}",
        )


class _Names:
    """A run's own names → those of the stacks."""

    def __init__(self, sites: tuple[DeployedSite, ...]) -> None:
        self._sites = {site.environment["CAUSEWAY_DYNAMODB_PREFIX"]: site for site in sites}

    def of_table(self, name: str) -> str:
        """A table's ARN."""
        site = self._of(name)
        table = name.rpartition("-")[2]
        return f"arn:aws:dynamodb:{site.host.region}:{ACCOUNT}:table/causeway-{site.package.stage}-{table}"

    def of_bucket(self, name: str) -> str:
        """A bucket's."""
        return f"arn:aws:s3:::causeway-{self._of(name).package.stage}-blocks"

    def of_queue(self, url: str) -> str:
        """A queue's: runs name them after the logical id."""
        name = url.rpartition("/")[2]
        site, logical_id = self._of(name), name.rpartition("-")[2]
        called = site.host.template.resolve(
            site.package.template["Resources"][logical_id]["Properties"]["QueueName"]
        )
        return f"arn:aws:sqs:{site.host.region}:{ACCOUNT}:{called}"

    def of_key(self, stage: str) -> str:
        """A site's key."""
        (site,) = [each for each in self._sites.values() if each.package.stage == stage]
        return f"arn:aws:kms:{site.host.region}:{ACCOUNT}:key/{KEY}"

    def _of(self, name: str) -> DeployedSite:
        return next(site for run, site in self._sites.items() if name == run or name.startswith(f"{run}-"))
