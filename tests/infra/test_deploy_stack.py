"""Answers of CloudFormation that moto never gives, as its API reference words them: what becomes of each.

botocore's Stubber checks every answer here against the service's own description.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from chalicelib.cli import deploy_stack
from chalicelib.cli.deploy_stack import Proposal, Stack
from chalicelib.cli.failure import Exit, Failure
from tests.command import REFUSED
from tests.infra.deploying import REGION, run
from tests.lambda_host.packaging import ROOT

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "causeway-west"
OF_STACK = {"StackName": NAME}
OF_SET = {"StackName": NAME, "ChangeSetName": ANY}


@pytest.fixture
def cfn(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Stack, Stubber]]:
    """A stack whose CloudFormation says what a test has it say."""
    client = boto3.client("cloudformation", REGION, aws_access_key_id="test", aws_secret_access_key="test")
    monkeypatch.setattr(deploy_stack, "LOOK_S", 0.0)
    monkeypatch.setattr(deploy_stack.Aws, "client", lambda aws, service: client)
    with Stubber(client) as stubber:
        yield Stack(deploy_stack.Aws("", REGION), NAME), stubber
        stubber.assert_no_pending_responses()


def described(status: str) -> dict[str, Any]:
    """DescribeStacks of the one stack."""
    return {"Stacks": [{"StackName": NAME, "CreationTime": NOW, "StackStatus": status}]}


def event(number: int, resource: str, status: str, reason: str = "") -> dict[str, Any]:
    """One step of a stack."""
    told = {"ResourceStatusReason": reason} if reason else {}
    return {
        "StackId": NAME,
        "EventId": str(number),
        "StackName": NAME,
        "Timestamp": NOW,
        "LogicalResourceId": resource,
        "ResourceStatus": status,
        **told,
    }


def changed(name: str, action: str = "Modify") -> dict[str, Any]:
    """One change of a change set."""
    resource = {"Action": action, "LogicalResourceId": name, "ResourceType": "AWS::SQS::Queue"}
    return {"Type": "Resource", "ResourceChange": resource}


def test_a_change_set_is_waited_for_and_read_to_its_end(cfn: tuple[Stack, Stubber]) -> None:
    """It is made in the background, and told in pages."""
    stack, aws = cfn
    aws.add_response("describe_stacks", described("UPDATE_COMPLETE"), OF_STACK)
    aws.add_response("create_change_set", {"Id": "1"})
    aws.add_response("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}, OF_SET)
    first = {"Status": "CREATE_COMPLETE", "Changes": [changed("A")], "NextToken": "more"}
    aws.add_response("describe_change_set", first, OF_SET)
    rest = {"Status": "CREATE_COMPLETE", "Changes": [changed("B", "Remove")]}
    aws.add_response("describe_change_set", rest, OF_SET | {"NextToken": "more"})

    proposal = stack.propose("https://bucket.s3.amazonaws.com/key", {}, {})

    assert [(one.logical_id, one.action) for one in proposal.changes] == [("A", "Modify"), ("B", "Remove")]
    assert proposal.name and not proposal.new and proposal.lost() == []


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information.",
        "No updates are to be performed.",
    ],
)
def test_a_change_set_without_changes_is_no_failure(cfn: tuple[Stack, Stubber], reason: str) -> None:
    """CloudFormation calls it FAILED; it is forgotten, and there is nothing to do."""
    stack, aws = cfn
    aws.add_response("describe_stacks", described("UPDATE_COMPLETE"), OF_STACK)
    aws.add_response("create_change_set", {"Id": "1"})
    aws.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": reason}, OF_SET)
    aws.add_response("delete_change_set", {}, OF_SET)

    assert stack.propose("https://bucket.s3.amazonaws.com/key", {}, {}) == Proposal("", False)


def test_what_cannot_be_proposed_is_told(cfn: tuple[Stack, Stubber]) -> None:
    """With CloudFormation's own words."""
    stack, aws = cfn
    aws.add_client_error("describe_stacks", "ValidationError", "Stack with id causeway-west does not exist")
    aws.add_response("create_change_set", {"Id": "1"})
    failed = {"Status": "FAILED", "StatusReason": "Transform AWS::Serverless-2016-10-31 failed with: oh"}
    aws.add_response("describe_change_set", failed, OF_SET)
    aws.add_response("delete_change_set", {}, OF_SET)

    with pytest.raises(Failure, match="Transform .* failed with: oh"):
        stack.propose("https://bucket.s3.amazonaws.com/key", {}, {})


@pytest.mark.parametrize(
    ("status", "words"),
    [("ROLLBACK_COMPLETE", "its first making failed"), ("UPDATE_IN_PROGRESS", "being changed already")],
)
def test_a_stack_that_cannot_be_changed_is_not_tried(
    cfn: tuple[Stack, Stubber], status: str, words: str
) -> None:
    """No change set is made; the message says what comes first."""
    stack, aws = cfn
    aws.add_response("describe_stacks", described(status), OF_STACK)

    with pytest.raises(Failure, match=words):
        stack.propose("https://bucket.s3.amazonaws.com/key", {}, {})


def test_a_failure_ends_with_its_first_reason(cfn: tuple[Stack, Stubber]) -> None:
    """Not with what was cancelled because of it; and each step is told once, in order."""
    stack, aws = cfn
    old = event(0, NAME, "REVIEW_IN_PROGRESS")
    steps = [
        event(1, "KeysTable", "CREATE_IN_PROGRESS"),
        event(2, "BlocksBucket", "CREATE_FAILED", "causeway-west-blocks already exists"),
        event(3, "KeysTable", "CREATE_FAILED", "Resource creation cancelled"),
        event(4, NAME, "ROLLBACK_COMPLETE"),
    ]
    aws.add_response("describe_stack_events", {"StackEvents": [old]}, OF_STACK)
    aws.add_response("execute_change_set", {}, OF_SET)
    aws.add_response("describe_stacks", described("CREATE_IN_PROGRESS"), OF_STACK)
    aws.add_response("describe_stack_events", {"StackEvents": [steps[0], old]}, OF_STACK)
    aws.add_response("describe_stacks", described("ROLLBACK_COMPLETE"), OF_STACK)
    aws.add_response("describe_stack_events", {"StackEvents": [*reversed(steps), old]}, OF_STACK)
    told: list[str] = []

    with pytest.raises(Failure) as failure:
        stack.carry_out(Proposal("set", True), lambda one: told.append(one["EventId"]))

    assert told == ["1", "2", "3", "4"] and failure.value.exit is Exit.REFUSED
    assert "ROLLBACK_COMPLETE. BlocksBucket: causeway-west-blocks already exists" in str(failure.value)
    assert "--parameter BlocksBucketSuffix=" in str(failure.value)


def test_what_these_credentials_may_not_do_is_named(cfn: tuple[Stack, Stubber]) -> None:
    """The operation, the region, and AWS's own sentence."""
    stack, aws = cfn
    aws.add_client_error("describe_stacks", "AccessDenied", "User: ann is not authorized")

    with pytest.raises(Failure) as failure:
        stack.described()

    assert failure.value.exit is Exit.REFUSED
    assert "may not DescribeStacks in us-west-2: User: ann is not authorized" in str(failure.value)


def test_credentials_that_have_expired_are_a_matter_of_signing_in(cfn: tuple[Stack, Stubber]) -> None:
    """Wrong use, not a refusal."""
    stack, aws = cfn
    aws.add_client_error("describe_stacks", "ExpiredToken", "The security token is expired")

    with pytest.raises(Failure, match="have expired: sign in again") as failure:
        stack.described()

    assert failure.value.exit is Exit.USAGE


def test_a_stack_that_was_never_made_is_not_changed() -> None:
    """CloudFormation cannot change what it rolled back: the way out is in the message."""
    stack = deploy_stack.Stack.__new__(deploy_stack.Stack)
    stack.name, stack.aws = "causeway-west", deploy_stack.Aws("", REGION)
    told = stack._never_made({"StackStatus": "ROLLBACK_COMPLETE"})

    assert "delete-stack --stack-name causeway-west --region us-west-2" in told and "--adopt" in told


def test_a_replacement_of_a_table_is_a_loss() -> None:
    """CloudFormation says Replacement: True, or Conditional; of a queue that is no loss, of a table it is."""

    def said(kind: str, replacement: str) -> deploy_stack.Change:
        return deploy_stack._change(
            {
                "ResourceChange": {
                    "Action": "Modify",
                    "LogicalResourceId": "KeysTable",
                    "PhysicalResourceId": "causeway-west-keys",
                    "ResourceType": kind,
                    "Replacement": replacement,
                    "Details": [{"Target": {"Attribute": "Properties", "Name": "KeySchema"}}],
                }
            }
        )

    table = said("AWS::DynamoDB::Table", "True")
    assert table.loses_data and table.because == ("KeySchema",)
    assert said("AWS::DynamoDB::Table", "Conditional").loses_data
    assert said("AWS::KMS::Key", "True").loses_data
    assert not said("AWS::DynamoDB::Table", "False").loses_data
    assert not said("AWS::SQS::Queue", "True").loses_data


def test_a_taken_name_is_told_with_the_way_out() -> None:
    """Bucket names are global."""
    told = deploy_stack._in_plain_words(["BlocksBucket: causeway-west-blocks already exists"])

    assert "--parameter BlocksBucketSuffix=" in told


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_stack_that_cannot_be_changed_is_told_before_packaging(
    cfn: tuple[Stack, Stubber], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Nobody waits a quarter of a minute for that."""
    monkeypatch.setattr("chalicelib.cli.deploy.package", lambda *_: pytest.fail("it was packaged"))
    cfn[1].add_response("describe_stacks", described("UPDATE_IN_PROGRESS"), OF_STACK)
    ran = run(verb, "--stage", "west", "--project", ROOT)

    assert ran.exit == REFUSED and "being changed already" in ran.err
