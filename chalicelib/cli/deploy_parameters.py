"""The template's parameters as `--parameter` gives them, judged here, and what its conditions then leave out.

    given = checked(template, ["ApiRate=90", "EventsToken=file://token"])     {"ApiRate": "90", …}
    made = made_with(template, given)           the resources that a new stack of these parameters has

Nothing is asked of AWS and nothing needs to be packaged: a merge template does. Rules count what is given in
one command, with defaults for the rest: what belongs together is given together, also to a stack that has it.
Promise  a value that is NoEcho stands in no message
Errors   Failure(USAGE): every problem of every parameter at once
Source   CloudFormation user guide: "Parameters", "Rules", "Condition functions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chalicelib.cli.failure import usage

Plain = dict[str, Any]
FILE = "file://"
SITE = "Site"


def checked(template: Plain, parameters: list[str]) -> dict[str, str]:
    """Name → value of what was given; Failure if CloudFormation would refuse it."""
    known: Plain = template["Parameters"]
    given, problems = {}, []
    for one in parameters:
        name, equals, value = one.partition("=")
        problem = _misnamed(name, bool(equals), known)
        if not problem:
            value, problem = _text_of(value)
            given[name] = value
            problem = problem or _unfit(known[name], value)
            told = "" if known[name].get("NoEcho") or not value else f"={value}"
            problem = problem and f"--parameter {name}{told}: {problem}"
        if problem:
            problems.append(problem)
    if not problems:
        problems = [*_broken(template, given)]
    if problems:
        raise usage("; ".join(problems))
    return given


def made_with(template: Plain, given: dict[str, str]) -> Plain:
    """Logical id → resource, without those whose condition does not hold."""
    values = _values(template, given)
    conditions: Plain = template.get("Conditions", {})
    return {
        name: one
        for name, one in template["Resources"].items()
        if "Condition" not in one or _holds(conditions[one["Condition"]], values, conditions)
    }


def _misnamed(name: str, valued: bool, known: Plain) -> str:
    if name == SITE:
        return f"--parameter {SITE}: it is the stage; use --stage"
    there = f"there are: {', '.join(sorted(known.keys() - {SITE}))}"
    if name in known:
        return "" if valued else f"--parameter {name}: give NAME=VALUE, or NAME={FILE}PATH"
    if valued and name.isalnum():
        return f"--parameter {name}: {name} is no parameter; {there}"
    return f"--parameter takes NAME=VALUE, or NAME={FILE}PATH; {there}"  # perhaps a secret: not repeated


def _text_of(value: str) -> tuple[str, str]:
    """A value as given, or what a file holds, as the AWS CLI reads it: a secret in a command line is seen by
    everybody on the machine. And what is wrong with it."""
    if not value.startswith(FILE):
        return value, ""
    try:
        return Path(value.removeprefix(FILE)).read_text().strip(), ""
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is no text"
        return "", f"{value} cannot be read: {why}"


def _unfit(said: Plain, value: str) -> str:
    """Why CloudFormation would not take a value."""
    allowed = [str(one) for one in said.get("AllowedValues", [])]
    if allowed and value not in allowed:
        return f"one of {', '.join(allowed)}"
    if said["Type"] == "Number":
        low, high = said.get("MinValue"), said.get("MaxValue")
        if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", value):
            return "a number"
        if low is not None and float(value) < low:
            return f"{low} or more"
        if high is not None and float(value) > high:
            return f"{high} or less"
    pattern = said.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        return f"does not match {pattern} ({said.get('Description', '').strip().rstrip('.')})"
    return ""


def _broken(template: Plain, given: dict[str, str]) -> Iterator[str]:
    values = _values(template, given)
    for rule in template.get("Rules", {}).values():
        if _holds(rule.get("RuleCondition", True), values, {}):
            for one in rule["Assertions"]:
                if not _holds(one["Assert"], values, {}):
                    yield one["AssertDescription"]


def _values(template: Plain, given: dict[str, str]) -> dict[str, str]:
    return {n: str(one.get("Default", "")) for n, one in template["Parameters"].items()} | given


def _holds(said: Any, values: dict[str, str], conditions: Plain) -> bool:
    """A condition, carried out."""
    if isinstance(said, bool):
        return said
    ((function, told),) = said.items()
    if function == "Condition":
        return _holds(conditions[told], values, conditions)
    if function == "Fn::Equals":
        first, second = (values[one["Ref"]] if isinstance(one, dict) else str(one) for one in told)
        return first == second
    parts = [_holds(one, values, conditions) for one in told]
    return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[function]
