"""One site of packaged functions: everything Lambda, API Gateway, SQS and EventBridge would do for it.

    with LambdaSite(package, environment={"CAUSEWAY_MASTER_KEY": …}, resources={…}) as site:
        site.rest_url, site.domain_url, site.function_url        endpoints for S3 clients
        site.invoke("Sweep", event)                              what it returned; FunctionError if it failed
        site.call("Sweep", event)                                Result, failed or not
        site.tick("Sweep"); site.poll("FullsyncStep")            schedule; queue
        site.sandboxes("Gateway"); site.kill("FullsyncStep")     processes
        site.lines("Sweep"); site.events("Sweep"); site.metrics("Sweep")     what it logged

Functions are named by their logical ids in the template.
"""

import json
import subprocess
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import boto3

from tests.lambda_host.environment import runtime_python, variables
from tests.lambda_host.function import Function, Result
from tests.lambda_host.function_url import FunctionUrl
from tests.lambda_host.invoke_api import InvokeApi
from tests.lambda_host.packaging import Package
from tests.lambda_host.rest_api import RestApi
from tests.lambda_host.template import FunctionSpec, Template
from tests.lambda_host.triggers import Polled, QueueMapping, scheduled_event
from tests.lambda_host.wire import Server
from tests.services.install import cache_directory
from tests.services.run import Service


class LambdaSite:
    """Sandboxes start when they are needed; all end with the block."""

    def __init__(  # noqa: PLR0913 - what a site depends on
        self,
        package: Package,
        environment: dict[str, str] | None = None,
        resources: dict[str, str] | None = None,
        queues: Service | None = None,
        concurrency: int = 4,
        compiled: bool = True,
        url_of: str = "Gateway",
    ) -> None:
        self.package = package
        self.region = package.variables.get("CAUSEWAY_REGION", "us-east-1")
        self.template = Template(package.template, f"causeway-{package.stage}", self.region, resources)
        self.environment = environment or {}
        self.of_function: dict[str, dict[str, str]] = {}  # what only one of them is told, above that
        self._queues, self._resources = queues, resources or {}
        self._python = runtime_python()
        self._bytecode = cache_directory() / "bytecode" if compiled else None
        self.functions = {
            name: Function(spec, self._starter(spec), concurrency)
            for name, spec in self.template.functions().items()
        }
        self._url_of = next((n for n, f in self.functions.items() if f.spec.has_url), url_of)
        self._servers: dict[str, Server] = {}

    def __enter__(self) -> "LambdaSite":
        api = self.template.api()
        if api is not None:
            self._servers["rest"] = Server(RestApi(api, self.functions).answer)
            self._servers["domain"] = Server(RestApi(api, self.functions, stage=False).answer)
            strict = RestApi(api, self.functions, drops_signatures=True)
            self._servers["strict"] = Server(strict.answer)
            self._stage = api.stage
        self._servers["invoke"] = Server(InvokeApi(self.functions).answer)
        if self._url_of in self.functions:
            self._servers["url"] = Server(FunctionUrl(self.functions[self._url_of]).answer)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.close()
        for function in self.functions.values():
            function.close()

    # ---------------------------------------------------------------------------- endpoints

    @property
    def rest_url(self) -> str:
        """The REST API below its stage."""
        return f"{self._servers['rest'].url}/{self._stage}"

    @property
    def strict_url(self) -> str:
        """The same, but signatures in headers never arrive."""
        return f"{self._servers['strict'].url}/{self._stage}"

    @property
    def domain_url(self) -> str:
        """The REST API behind a custom domain."""
        return self._servers["domain"].url

    @property
    def function_url(self) -> str:
        """The Function URL."""
        return self._servers["url"].url

    @property
    def invoke_url(self) -> str:
        """Lambda's own API, for SDKs: nothing but Invoke."""
        return self._servers["invoke"].url

    # -------------------------------------------------------------------------- invocations

    def call(self, name: str, event: Any = None) -> Result:
        """Invoke, and look at how it ended."""
        return self._function(name).invoke({} if event is None else event)

    def invoke(self, name: str, event: Any = None) -> Any:
        """Invoke; what it returned."""
        return self.call(name, event).value()

    def start(self, name: str, event: Any = None) -> "Future[Result]":
        """Invoke asynchronously, with its retries."""
        return self._function(name).invoke_async({} if event is None else event)

    def tick(self, name: str) -> Any:
        """Its schedule's time has come; what it returned."""
        function = self._function(name)
        assert function.spec.schedules, f"{name} has no schedule in the template"
        return self.invoke(name, scheduled_event(function, function.spec.schedules[0]))

    def poll(self, name: str, wait_s: int = 0, hurry: bool = True) -> Polled:
        """One look into the queue before it; see triggers.QueueMapping."""
        (mapping,) = self.mappings(name)
        return mapping.poll(wait_s, hurry)

    def mappings(self, name: str) -> list[QueueMapping]:
        """Its queues."""
        assert self._queues is not None, "LambdaSite(queues=…) says where SQS is"
        function = self._function(name)
        assert function.spec.queues, f"{name} has no queue in the template"
        options = self._queues.boto3_arguments() | {"region_name": self.region}
        sqs = boto3.client("sqs", **options)
        found = []
        for source in function.spec.queues:
            arn = str(self.template.resolve(source.queue))
            url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            found.append(QueueMapping(function, source, sqs, url, arn))
        return found

    # ---------------------------------------------------------------------------- processes

    def sandboxes(self, name: str) -> list[Any]:
        """Those alive."""
        return self._function(name).sandboxes()

    def kill(self, name: str, busy_only: bool = False) -> int:
        """kill -9 the sandboxes of a function; how many there were."""
        return self._function(name).kill(busy_only)

    def forget_idle(self, name: str) -> None:
        """The next invocation is a cold start."""
        self._function(name).forget_idle()

    def lines(self, name: str = "") -> list[str]:
        """What one function printed, or all of them."""
        chosen = [self._function(name)] if name else list(self.functions.values())
        return [line for function in chosen for line in function.lines()]

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """The lines that are JSON objects, but for metrics."""
        return [each for each in self._objects(name) if "_aws" not in each]

    def metrics(self, name: str = "") -> list[dict[str, Any]]:
        """The lines CloudWatch would take for metrics (EMF)."""
        return [each for each in self._objects(name) if "_aws" in each]

    def _objects(self, name: str) -> list[dict[str, Any]]:
        found = []
        for line in self.lines(name):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                found.append(value)
        return found

    def _function(self, name: str) -> Function:
        assert name in self.functions, f"the template has no {name}: {', '.join(sorted(self.functions))}"
        return self.functions[name]

    def _starter(self, spec: FunctionSpec):
        def start(runtime_api: str) -> subprocess.Popen:
            paths = tuple(Path(each) for each in self.package.layers)
            given = self.environment | self.of_function.get(spec.name, {})
            told = variables(spec, self.package.root, paths, runtime_api, self.region, given, self._bytecode)
            return subprocess.Popen(
                [str(self._python), "-m", "awslambdaric", spec.handler],
                cwd=self.package.root,
                env=told,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )

        return start
