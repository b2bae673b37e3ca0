"""Reads what a packaged template says about functions, their events and the API; knows no names of its own.

    template = Template(body, stack="causeway-west", region="us-west-2", resources={"FullsyncQueue": url, …})
    template.functions()["Sweep"]          FunctionSpec
    template.api()                         Api, or None
    template.resolve(value)                a value with its intrinsic functions carried out

`resources` gives what AWS would have made: logical id → what Ref gives, `Id.Attribute` → what GetAtt gives.
Functions' own ARNs and names, parameters' defaults and pseudo parameters need not be given.
Errors  Unresolved names the reference that has no value
Source  AWS CloudFormation user guide, "Intrinsic function reference"; AWS SAM specification.
"""

import re
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"  # moto's, too
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class Unresolved(Exception):
    """Nothing says what a reference stands for."""


@dataclass(frozen=True)
class QueueSource:
    """An event source mapping of SQS."""

    queue: Any  # its ARN, not resolved
    batch_size: int
    reports_failures: bool
    concurrency: int  # 0: not limited


@dataclass(frozen=True)
class Schedule:
    """A rule of EventBridge."""

    expression: str
    input: str | None


@dataclass(frozen=True)
class FunctionSpec:
    """One function, as the template has it."""

    name: str  # the logical id
    function_name: str
    handler: str
    timeout_s: int
    memory_mb: int
    reserved: int | None  # ReservedConcurrentExecutions
    retries: int  # of an asynchronous invocation that failed
    has_url: bool
    queues: tuple[QueueSource, ...]
    schedules: tuple[Schedule, ...]
    arn: str
    _variables: dict[str, Any] = field(repr=False)
    _template: "Template" = field(repr=False, compare=False)

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """Its variables with `given` above them; those that are given need no value in the template."""
        own = {n: v for n, v in self._variables.items() if n not in given}
        try:
            return {name: str(self._template.resolve(value)) for name, value in own.items()} | given
        except Unresolved as missing:
            raise Unresolved(f"{self.name}: {missing}") from None


@dataclass(frozen=True)
class Route:
    """One method of one resource."""

    resource: str
    method: str  # upper case, ANY for all
    function: str  # the logical id
    timeout_s: float


@dataclass(frozen=True)
class Api:
    """The REST API."""

    stage: str
    binary_types: tuple[str, ...]
    gateway_responses: dict[str, Any]
    routes: tuple[Route, ...]


class Template:
    """One packaged template."""

    def __init__(
        self, body: dict[str, Any], stack: str, region: str, resources: dict[str, str] | None = None
    ) -> None:
        self.body, self.stack, self.region = body, stack, region
        self._given = resources or {}
        self.resources: dict[str, dict[str, Any]] = body["Resources"]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Logical id → properties of resources of one type."""
        found = {name: each for name, each in self.resources.items() if each["Type"] == kind}
        return {name: each.get("Properties", {}) for name, each in found.items()}

    def functions(self) -> dict[str, FunctionSpec]:
        """By logical id."""
        found = self.of_type("AWS::Serverless::Function")
        return {name: self._function(name, properties) for name, properties in found.items()}

    def api(self) -> Api | None:
        """The one REST API."""
        for properties in self.of_type("AWS::Serverless::Api").values():
            definition = properties["DefinitionBody"]
            routes = tuple(
                self._route(path, method, operation["x-amazon-apigateway-integration"])
                for path, operations in definition["paths"].items()
                for method, operation in operations.items()
                if "x-amazon-apigateway-integration" in operation
                and operation["x-amazon-apigateway-integration"]["type"].lower() == "aws_proxy"
            )
            types = tuple(definition.get("x-amazon-apigateway-binary-media-types", ()))
            own = self.resolve(properties.get("GatewayResponses", {}))
            return Api(str(self.resolve(properties["StageName"])), types, own, routes)
        return None

    def _function(self, name: str, properties: dict[str, Any]) -> FunctionSpec:
        events = properties.get("Events", {}).values()
        function_name = self.resolve(properties.get("FunctionName", f"{self.stack}-{name}"))
        return FunctionSpec(
            name=name,
            function_name=function_name,
            handler=properties["Handler"],
            timeout_s=int(self.resolve(properties.get("Timeout", 3))),
            memory_mb=int(self.resolve(properties.get("MemorySize", 128))),
            reserved=self.resolve(properties.get("ReservedConcurrentExecutions")),
            retries=int(self.resolve(properties.get("EventInvokeConfig", {})).get("MaximumRetryAttempts", 2)),
            has_url="FunctionUrlConfig" in properties,
            queues=tuple(self._queue(e["Properties"]) for e in events if e["Type"] == "SQS"),
            schedules=tuple(
                _schedule(e["Properties"]) for e in events if e["Type"] in ("Schedule", "ScheduleV2")
            ),
            arn=f"arn:aws:lambda:{self.region}:{ACCOUNT}:function:{function_name}",
            _variables=properties.get("Environment", {}).get("Variables", {}),
            _template=self,
        )

    def _queue(self, properties: dict[str, Any]) -> QueueSource:
        scaling = self.resolve(properties.get("ScalingConfig", {}))
        return QueueSource(
            queue=properties["Queue"],
            batch_size=int(self.resolve(properties.get("BatchSize", 10))),
            reports_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
            concurrency=int(scaling.get("MaximumConcurrency", 0)),
        )

    def _route(self, path: str, method: str, integration: dict[str, Any]) -> Route:
        any_method = method == "x-amazon-apigateway-any-method"
        found = re.search(
            r"functions/(.+)/(?:invocations|response-streaming-invocations)$", _text(integration)
        )
        assert found, f"{path}: no function in {integration['uri']}"
        logical_id = found[1].removeprefix("${").removesuffix(".Arn}")
        timeout_s = integration.get("timeoutInMillis", 29_000) / 1000
        return Route(path, "ANY" if any_method else method.upper(), logical_id, timeout_s)

    # -------------------------------------------------------------------- intrinsic functions

    def resolve(self, value: Any) -> Any:
        """Carries out Ref, GetAtt, Sub, Join, If, Select and Split wherever they stand."""
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in self._INTRINSICS:
                return self._INTRINSICS[name](self, argument)
        return {name: self.resolve(each) for name, each in value.items()}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": self.region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack,
            "AWS::NoValue": None,
        }
        if name in self._given:
            return self._given[name]
        if name in pseudo:
            return pseudo[name]
        parameter = self.body.get("Parameters", {}).get(name, {})
        if "Default" in parameter:
            return parameter["Default"]
        if name in self.of_type("AWS::Serverless::Function"):
            return self.functions()[name].function_name
        raise Unresolved(f"nothing says what {name} is: give it in resources={{{name!r}: …}}")

    def _get_att(self, argument: str | list[str]) -> Any:
        name, _, attribute = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")
        key = f"{name}.{attribute}"
        if key in self._given:
            return self._given[key]
        if attribute == "Arn" and name in self.of_type("AWS::Serverless::Function"):
            return self.functions()[name].arn
        raise Unresolved(f"nothing says what {key} is: give it in resources={{{key!r}: …}}")

    def _sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def value(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return f"${{{name}}}"
            if name in own:
                return str(self.resolve(own[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _VARIABLE.sub(value, text)

    def _join(self, argument: list[Any]) -> str:
        return argument[0].join(map(str, self.resolve(argument[1])))

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if self._true(self.body["Conditions"][condition]) else no)

    def _true(self, condition: dict[str, Any]) -> bool:
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self._true(self.body["Conditions"][argument])
        if name == "Fn::Equals":
            first, second = self.resolve(argument)
            return bool(first == second)
        if name == "Fn::Not":
            return not self._true(argument[0])
        return (all if name == "Fn::And" else any)(self._true(each) for each in argument)

    def _select(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1])[int(argument[0])]

    def _split(self, argument: list[Any]) -> list[str]:
        return str(self.resolve(argument[1])).split(argument[0])

    _INTRINSICS = {
        "Ref": _ref,
        "Fn::GetAtt": _get_att,
        "Fn::Sub": _sub,
        "Fn::Join": _join,
        "Fn::If": _if,
        "Fn::Select": _select,
        "Fn::Split": _split,
    }


def _text(integration: dict[str, Any]) -> str:
    uri = integration["uri"]
    return uri if isinstance(uri, str) else str(uri.get("Fn::Sub", uri))


def _schedule(properties: dict[str, Any]) -> Schedule:
    return Schedule(properties.get("Schedule") or properties["ScheduleExpression"], properties.get("Input"))
