"""Parameters are judged by the template alone, before packaging, before AWS is asked; no secret is said."""

from pathlib import Path

import pytest

from chalicelib.cli.deploy_parameters import checked, made_with
from chalicelib.cli.deploy_template import merge_template
from chalicelib.cli.failure import Failure
from tests.command import USAGE
from tests.infra.deploying import run
from tests.lambda_host.packaging import ROOT, Package

TEMPLATE = merge_template(ROOT, "west")
TABLES = "SinkTablesArn=arn:aws:dynamodb:us-east-1:123456789012:table/causeway-east"
BUCKET = "SinkBucketArn=arn:aws:s3:::causeway-east-blocks"
KEY = "SinkKeyArn=arn:aws:kms:us-east-1:123456789012:key/1"
NOBODY = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("Nope=1", "Nope is no parameter; there are: AlarmEmail, AlarmTopic, "),
        ("LogRetentionDays", "--parameter LogRetentionDays: give NAME=VALUE"),
        ("LogRetentionDays=8", "--parameter LogRetentionDays=8: one of 1, 3, 5, 7, "),
        ("Site=foo", "--parameter Site: it is the stage; use --stage"),
        ("BlocksBucketSuffix=k3x9", "--parameter BlocksBucketSuffix=k3x9: does not match (-[a-z0-9-]"),
        ("BlocksSecretKey=file:///nonexist", "/nonexist cannot be read: No such file or directory"),
        ("EventsToken=short", "--parameter EventsToken: does not match"),
        (TABLES, "With SinkTablesArn give SinkBucketArn and SinkKeyArn too."),
        ("ApiRate=0", "--parameter ApiRate=0: 1 or more"),
        ("DocumentsConcurrency=1001", "1000 or less"),
        ("ApiBurst=many", "--parameter ApiBurst=many: a number"),
    ],
)
def test_a_wrong_parameter_is_told_at_once(
    verb: str, parameter: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials and without a package."""
    monkeypatch.setattr("chalicelib.cli.deploy.package", lambda *_: pytest.fail("it was packaged"))
    ran = run(verb, "--stage", "west", "--project", ROOT, "--parameter", parameter, "--json", **NOBODY)

    assert ran.exit == USAGE and words in ran.json["message"]


def test_every_mistake_is_told_and_no_secret(tmp_path: Path) -> None:
    """Two at once; a token that is too short is in no message, given or from a file."""
    (tmp_path / "token").write_text("hunter2")
    given = ["EventsToken=hunter2", f"EventsToken=file://{tmp_path}/token", "hunter2-of-mine", "ApiRate=-1"]
    with pytest.raises(Failure) as failure:
        checked(TEMPLATE, given)

    assert "hunter2" not in str(failure.value) and "ApiRate=-1" in str(failure.value)
    assert str(failure.value).count("EventsToken: does not match") == 2


def test_what_is_right_is_taken() -> None:
    """Every default is, and what goes together."""
    defaults = {name: str(one["Default"]) for name, one in TEMPLATE["Parameters"].items() if name != "Site"}

    assert checked(TEMPLATE, [f"{name}={value}" for name, value in defaults.items()]) == defaults
    assert checked(TEMPLATE, [TABLES, BUCKET, KEY]).keys() == {"SinkTablesArn", "SinkBucketArn", "SinkKeyArn"}
    assert checked(TEMPLATE, ["BlocksBucketSuffix=-k3x9"]) == {"BlocksBucketSuffix": "-k3x9"}


def test_what_no_condition_makes_is_not_counted(west: Package) -> None:
    """With defaults no topic, no role for logs, no policies over a sink; each as its parameter asks."""
    whole = west.template
    with_defaults = made_with(whole, {})
    left_out = whole["Resources"].keys() - with_defaults.keys()
    asked = checked(whole, ["AlarmEmail=ops@example.com", "ApiLogs=make-role", TABLES, BUCKET, KEY])

    assert left_out == {"AlarmsTopic", "ApiAccessLogs", "ApiAccount", "ApiLogsRole"} | {
        "ApplyOverTables",
        "ReadOverTables",
    }
    assert made_with(whole, asked) == whole["Resources"]
    assert made_with(whole, {"ApiLogs": "on"}).keys() - with_defaults.keys() == {"ApiAccessLogs"}


def test_conditions_are_carried_out_as_cloudformation_does() -> None:
    """Those that the template does not use today, too."""
    told = {"Fn::Or": [{"Condition": "No"}, {"Fn::And": [{"Condition": "Yes"}, True]}]}
    template = {
        "Parameters": {"Size": {"Type": "Number", "Default": 1}},
        "Conditions": {
            "Yes": {"Fn::Equals": [{"Ref": "Size"}, 1]},
            "No": {"Fn::Not": [{"Condition": "Yes"}]},
            "Either": told,
        },
        "Resources": {name: {"Condition": name} for name in ("Yes", "No", "Either")},
    }

    assert made_with(template, {}).keys() == {"Yes", "Either"}
    assert made_with(template, {"Size": "2"}).keys() == {"No", "Either"}
