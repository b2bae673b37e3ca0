"""One role a function: exactly what the golden files say, no more for anybody.

CAUSEWAY_TEST_GOLDEN=write makes the golden files anew; read the diff as if it were code.
"""

import json
import os
from pathlib import Path

import pytest

from chalicelib.cli.deploy_template import FUNCTIONS
from chalicelib.ports.metadata import Table
from tests.infra.roles import allowed, opened, role_of, says
from tests.lambda_host.packaging import Package

GOLDEN = Path(__file__).parent / "golden"
REMOVES_OBJECTS = {
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectTagging",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketPolicy",
}
SENDS = {"OnDocuments", "FullsyncStep", "Sweep"}
SINK = {
    "SinkTablesArn": "arn:aws:dynamodb:us-east-1:210987654321:table/causeway-east",
    "SinkBucketArn": "arn:aws:s3:::causeway-east-blocks",
    "SinkKeyArn": "arn:aws:kms:us-east-1:210987654321:key/11111111-1111-1111-1111-111111111111",
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_is_what_its_golden_file_says(west: Package, function: str) -> None:
    """Every action, resource and condition of a function's role, spelled out."""
    path = GOLDEN / f"role-{FUNCTIONS[function]}.json"
    found = {"allows": says(allowed(west, function))}
    with_sink = says(sorted(set(allowed(west, function, **SINK)) - set(allowed(west, function))))
    if with_sink:
        found["and over a sink's tables"] = with_sink
    if os.environ.get("CAUSEWAY_TEST_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")

    assert found == json.loads(path.read_text())


def test_no_golden_file_is_left_over() -> None:
    """Each golden file belongs to a function."""
    assert {path.name for path in GOLDEN.glob("role-*.json")} == {
        f"role-{n}.json" for n in FUNCTIONS.values()
    }


def test_every_function_has_a_role_of_its_own(package: Package) -> None:
    """No two share one, and only Lambda may take it."""
    roles = [
        json.dumps(package.template["Resources"][function]["Properties"]["Role"]) for function in FUNCTIONS
    ]

    assert len(set(roles)) == len(FUNCTIONS)
    for function in FUNCTIONS:
        (trust,) = role_of(package, function)["AssumeRolePolicyDocument"]["Statement"]
        assert trust == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_may_do_everything(package: Package, function: str) -> None:
    """No action holds a `*`; a resource only behind the site's own bucket or log group."""
    site = f"causeway-{package.variables['CAUSEWAY_SITE']}"
    ours = (f"arn:aws:s3:::{site}-blocks/blocks/", f"arn:aws:s3:::{site}-blocks/manifests/")
    logs = f":log-group:/aws/lambda/{site}-{FUNCTIONS[function]}:"
    for action, resource, _ in allowed(package, function):
        own, star, rest = resource.partition("*")
        assert "*" not in action and rest == ""
        assert not star or own.startswith(ours) or own.endswith(logs)


def test_only_collect_removes_objects(package: Package) -> None:
    """No role beside GC's can delete an object, or make the bucket do it."""
    able = {
        function
        for function in FUNCTIONS
        for action, _, _ in allowed(package, function, **SINK)
        if action in REMOVES_OBJECTS
    }

    assert able == {"Collect"}


def test_nobody_makes_or_removes_what_the_stack_made(package: Package) -> None:
    """Functions use tables, queues, keys and roles; only the deployment makes and removes them."""
    verbs = ("Create", "DeleteTable", "DeleteQueue", "DeleteBucket", "Schedule", "Disable", "Attach", "Put*")
    services = {"dynamodb", "s3", "sqs", "kms", "logs"}
    for function in FUNCTIONS:
        for action, _, _ in allowed(package, function, **SINK):
            service, _, verb = action.partition(":")
            assert service in services
            assert not verb.startswith(verbs) or action == "logs:CreateLogStream"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_sinks_tables_are_written_only_where_named_and_never_its_site(west: Package, function: str) -> None:
    """Without the parameter nobody reaches another site; with it who sends does, but not its site table."""
    sink = SINK["SinkTablesArn"]
    before = {one for one in allowed(west, function) if "causeway-east" in one.resource}
    writing = {
        one.resource
        for one in allowed(west, function, **SINK)
        if one.action in ("dynamodb:PutItem", "dynamodb:DeleteItem") and one.resource.startswith(sink)
    }

    assert before == set()
    expected = {f"{sink}-{table}" for table in Table if table is not Table.SITE}
    assert writing == (expected if function in SENDS else set())


def test_the_key_is_used_in_context_only(package: Package) -> None:
    """No role may use the site's key without saying for what: tables, blocks, or this site's master key."""
    site = package.variables["CAUSEWAY_SITE"]
    for function in FUNCTIONS:
        for action, _, condition in allowed(package, function):
            if action.startswith("kms:"):
                keys = {key: values for _, key, values in condition}
                context = keys.get("kms:EncryptionContext:causeway:site")
                assert "kms:ViaService" in keys or context == (site,)


def test_only_a_first_start_makes_a_master_key(package: Package) -> None:
    """Making a master key is the administrator function's; the others open the one that is there."""
    able = {
        function
        for function in FUNCTIONS
        for action, _, condition in allowed(package, function)
        if action == "kms:GenerateDataKey" and "causeway:site" in str(condition)
    }

    assert able == {"Administrator"}


def test_a_master_key_under_another_kms_key_is_opened_there(west: Package) -> None:
    """After a rotation every function is told of the other key, and may use it in the site's context only."""
    other = "arn:aws:kms:us-west-2:123456789012:key/22222222-2222-2222-2222-222222222222"
    for function, spec in opened(west, MasterKeyArn=other).functions().items():
        more = set(allowed(west, function, MasterKeyArn=other)) - set(allowed(west, function))
        condition = (("StringEquals", "kms:EncryptionContext:causeway:site", ("west",)),)
        assert more == {("kms:Decrypt", other, condition)}
        assert spec.environment({})["CAUSEWAY_KMS_KEY"] == other


def test_both_stages_have_the_same_roles(package: Package, west: Package) -> None:
    """East's roles are west's in another place."""
    for function in FUNCTIONS:
        told = json.dumps(says(allowed(package, function)))
        for key in ("CAUSEWAY_REGION", "CAUSEWAY_SITE"):
            told = told.replace(package.variables[key], west.variables[key])
        assert json.loads(told) == says(allowed(west, function))
