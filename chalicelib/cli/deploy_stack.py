"""One CloudFormation stack: what would change, changing it, and what came of it.

    changes = stack.propose(template_url, parameters, adopt)    Proposal: changes, held in a change set
    stack.carry_out(proposal, told)                             run it; told(event) for each step
    stack.outputs()                                             {"GatewayURL": …}

Promise  nothing is changed before carry_out; proposal.lost() says what keeps data (tables, the bucket, the
         key) and would be replaced or dropped
Errors   Failure(REFUSED): CloudFormation says no, and the first reason it gives
Source   CloudFormation API Reference: CreateChangeSet, ExecuteChangeSet, DescribeStackEvents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chalicelib.cli import world
from chalicelib.cli.deploy_aws import Aws, in_words, message_of
from chalicelib.cli.failure import Exit, Failure

KEEPS_DATA = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key"}
LOOK_S = 2.0
PATIENCE_S = 3600.0
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")
_NEVER_MADE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


@dataclass(frozen=True)
class Change:
    """What would become of one resource."""

    action: str  # Add, Modify, Remove, Import, Dynamic
    logical_id: str
    kind: str
    replacement: str = ""  # True, False, Conditional
    physical_id: str = ""
    because: tuple[str, ...] = ()

    @property
    def loses_data(self) -> bool:
        """Whether the resource that is there would not be the site's any more."""
        gone = self.action == "Remove" or self.replacement in ("True", "Conditional")
        return gone and self.kind in KEEPS_DATA


@dataclass(frozen=True)
class Proposal:
    """A change set; `name` is empty if there is nothing to change."""

    name: str
    new: bool
    changes: list[Change] = field(default_factory=list)

    def lost(self) -> list[Change]:
        """What keeps data now and would be replaced or dropped."""
        return [change for change in self.changes if change.loses_data]


class Stack:
    """The stack `name`."""

    def __init__(self, aws: Aws, name: str) -> None:
        self.name = name
        self.aws = aws
        self._cfn = aws.client("cloudformation")

    @property
    def region(self) -> str:
        """Where it is, or would be."""
        return self.aws.region

    def described(self) -> dict[str, Any] | None:
        """What CloudFormation says of it; None if there is no such stack, or none but a proposal."""
        from botocore.exceptions import ClientError

        with in_words(self.aws.region):
            try:
                found: dict[str, Any] = self._cfn.describe_stacks(StackName=self.name)["Stacks"][0]
            except ClientError as problem:
                if "does not exist" in message_of(problem):
                    return None
                raise
        return None if found["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE") else found

    def changeable(self) -> dict[str, Any] | None:
        """The same, unless CloudFormation would change nothing there now: then a Failure that says why."""
        there = self.described()
        if there and there["StackStatus"] in _NEVER_MADE:
            raise Failure(Exit.REFUSED, self._never_made(there))
        if there and there["StackStatus"].endswith("_IN_PROGRESS"):
            raise Failure(
                Exit.REFUSED, f"{self.name} is being changed already ({there['StackStatus']}): wait"
            )
        return there

    def outputs(self) -> dict[str, str]:
        """What the stack tells of itself; nothing if there is none."""
        described = self.described() or {}
        return {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}

    def propose(
        self, template_url: str, known: dict[str, Any], parameters: dict[str, str], adopt: bool = False
    ) -> Proposal:
        """What would change. `known` are the template's parameters; those not given stay as they are."""
        there = self.changeable()
        before = {one["ParameterKey"] for one in (there or {}).get("Parameters", [])}
        given: list[dict[str, Any]] = [
            {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())
        ]
        kept = sorted((before & known.keys()) - parameters.keys() - {"Site"})
        given += [{"ParameterKey": key, "UsePreviousValue": True} for key in kept]
        name = f"causeway-{world.token(6)}"
        more: dict[str, Any] = {"ImportExistingResources": True} if adopt else {}
        with in_words(self.aws.region):
            self._cfn.create_change_set(
                StackName=self.name,
                ChangeSetName=name,
                ChangeSetType="UPDATE" if there else "CREATE",
                TemplateURL=template_url,
                Parameters=given,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
                Tags=[{"Key": "causeway:site", "Value": self.name.removeprefix("causeway-")}],
                **more,
            )
            return self._settled(name, new=there is None)

    def drop(self, proposal: Proposal) -> None:
        """Forget a proposal, and the empty stack that holds it where there was none."""
        with in_words(self.aws.region):
            if proposal.name:
                self._cfn.delete_change_set(StackName=self.name, ChangeSetName=proposal.name)
            if proposal.new:
                self._cfn.delete_stack(StackName=self.name)

    def carry_out(self, proposal: Proposal, told: Callable[[dict[str, Any]], None]) -> None:
        """Do what was proposed; tells each step as it happens."""
        with in_words(self.aws.region):
            seen = {event["EventId"] for event in self._events()}
            self._cfn.execute_change_set(StackName=self.name, ChangeSetName=proposal.name)
            problems: list[str] = []
            ends = world.elapsed_s() + PATIENCE_S
            while True:
                status = self._cfn.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
                for event in reversed(list(self._events())):
                    if event["EventId"] not in seen:
                        seen.add(event["EventId"])
                        told(event)
                        problems += _problem(event)
                if not status.endswith("_IN_PROGRESS"):
                    break
                if world.elapsed_s() > ends:
                    raise Failure(Exit.NO, f"{self.name} is still {status}; CloudFormation goes on by itself")
                world.sleep_s(LOOK_S)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            raise Failure(Exit.REFUSED, f"{self.name} is {status}. {_in_plain_words(problems)}")

    def _settled(self, name: str, *, new: bool) -> Proposal:
        while True:
            said = self._cfn.describe_change_set(StackName=self.name, ChangeSetName=name)
            if said["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            world.sleep_s(LOOK_S)
        if said["Status"] == "FAILED":
            reason = said.get("StatusReason", "")
            self._cfn.delete_change_set(StackName=self.name, ChangeSetName=name)
            if any(words in reason for words in _UNCHANGED):
                return Proposal("", new)
            raise Failure(Exit.REFUSED, f"CloudFormation cannot do that: {reason}")
        changes = [_change(one) for one in said.get("Changes", [])]
        while said.get("NextToken"):
            said = self._cfn.describe_change_set(
                StackName=self.name, ChangeSetName=name, NextToken=said["NextToken"]
            )
            changes += [_change(one) for one in said.get("Changes", [])]
        return Proposal(name, new, changes)

    def _events(self) -> Iterator[dict[str, Any]]:
        for page in self._cfn.get_paginator("describe_stack_events").paginate(StackName=self.name):
            yield from page["StackEvents"]

    def _never_made(self, there: dict[str, Any]) -> str:
        of_it = f"--stack-name {self.name} --region {self.aws.region}"
        return (
            f"{self.name} is {there['StackStatus']}: its first making failed, and CloudFormation changes no "
            f"such stack. `aws cloudformation describe-stack-events {of_it}` says why; then remove it by "
            f"`aws cloudformation delete-stack {of_it}`. Tables, bucket and key that it left are kept: "
            "remove them if they are empty, or take them in by --adopt"
        )


def _change(one: dict[str, Any]) -> Change:
    said = one["ResourceChange"]
    details = [detail.get("Target", {}) for detail in said.get("Details", [])]
    names = [target.get("Name") or target.get("Attribute", "") for target in details]
    return Change(
        action=said["Action"],
        logical_id=said["LogicalResourceId"],
        kind=said["ResourceType"],
        replacement=said.get("Replacement", ""),
        physical_id=said.get("PhysicalResourceId", ""),
        because=tuple(dict.fromkeys(name for name in names if name)),
    )


def _problem(event: dict[str, Any]) -> list[str]:
    reason = event.get("ResourceStatusReason", "")
    if not event["ResourceStatus"].endswith("_FAILED") or "cancelled" in reason:
        return []
    return [f"{event['LogicalResourceId']}: {reason or event['ResourceStatus']}"]


def _in_plain_words(problems: list[str]) -> str:
    if not problems:
        return "CloudFormation gives no reason; its console has the events"
    first = problems[0]
    if first.startswith("BlocksBucket") and "already exists" in first:
        first += " - bucket names are global: give --parameter BlocksBucketSuffix=-something"
    elif "already exists" in first:
        first += " - if it is this site's own from before, give --adopt"
    return first
