"""Sandboxes: reuse, concurrency, errors, limits, kills, as "Understanding the Lambda execution environment
lifecycle", "Lambda quotas" and "Asynchronous invocation" of the AWS Lambda developer guide say it."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lambda_host import FunctionError, LambdaSite, PayloadTooLarge, Throttled
from tests.lambda_host.runtime_api import REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX
from tests.lambda_host.toy import toy


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with LambdaSite(toy(tmp_path_factory.mktemp("toy"), Timeout=20)) as site:
        yield site


def until(seen, patience_s=20):
    """Wait for something to be so."""
    ends = time.monotonic() + patience_s
    while not seen():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)


def test_a_sandbox_is_used_again(site):
    """The first invocation is a cold start, the second runs in the same process."""
    site.forget_idle("Toy")
    first, second = site.call("Toy", {"n": 1}), site.call("Toy", {"n": 2})

    assert (first.cold, second.cold) == (True, False)
    assert first.value()["pid"] == second.value()["pid"]
    assert second.value()["event"] == {"n": 2}
    assert second.value()["request_id"] == second.request_id


def test_what_runs_at_once_runs_apart(site):
    """Two invocations at a time have two processes."""
    with ThreadPoolExecutor(2) as pool:
        pids = set(pool.map(lambda n: site.invoke("Toy", {"do": "sleep", "seconds": 1})["pid"], range(2)))

    assert len(pids) == 2


def test_the_context_knows_the_function(site):
    """Its ARN, and the time that is left of its limit."""
    told = site.invoke("Toy", {})

    assert told["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:causeway-toy-Toy"
    assert 0 < told["remaining_ms"] <= 20_000


def test_an_exception_is_an_error_of_the_function(site):
    """With its type, message and stack trace; the sandbox is kept."""
    pid = site.invoke("Toy", {})["pid"]
    result = site.call("Toy", {"do": "raise"})

    assert (result.problem["errorType"], result.problem["errorMessage"]) == ("KeyError", "'as I was told'")
    assert any("handler" in line for line in result.problem["stackTrace"])
    assert site.invoke("Toy", {})["pid"] == pid
    with pytest.raises(FunctionError, match="as I was told"):
        result.value()


@pytest.mark.parametrize("status", [0, 3])
def test_a_process_that_ends(site, status):
    """The runtime exited: an error, and a new sandbox for the next one."""
    result = site.call("Toy", {"do": "exit", "status": status})

    assert result.problem["errorType"] == "Runtime.ExitError"
    assert f"exit status {status}" in result.problem["errorMessage"]
    assert site.call("Toy", {}).value()["pid"] != result.sandbox.pid


def test_a_sandbox_killed_half_way(site):
    """Its invocation fails, nobody else's does."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(site.call, "Toy", {"do": "sleep", "seconds": 15})
        until(lambda: any("sleeping" in each.lines for each in site.sandboxes("Toy") if each.busy))
        assert site.kill("Toy", busy_only=True) == 1

    assert "signal: killed" in running.result().problem["errorMessage"]
    assert not site.call("Toy", {}).error


def test_the_time_limit(tmp_path):
    """Beyond it the sandbox is killed: an error that says so, and a cold start for the next one."""
    with LambdaSite(toy(tmp_path, Timeout=1)) as site:
        result = site.call("Toy", {"do": "sleep", "seconds": 30})
        assert result.problem["errorType"] == "Sandbox.Timedout"
        assert result.problem["errorMessage"].endswith("Task timed out after 1.00 seconds")
        assert result.sandbox.dead
        until(lambda: not Path(f"/proc/{result.sandbox.pid}").exists())
        assert site.call("Toy", {}).cold


def test_a_module_that_cannot_be_imported(tmp_path):
    """The error of its initialisation is what the caller gets, each time."""
    with LambdaSite(toy(tmp_path, "import no_such_thing")) as site:
        for _ in range(2):
            problem = site.call("Toy", {}).problem
            assert problem["errorType"] == "Runtime.ImportModuleError"
            assert "no_such_thing" in problem["errorMessage"]
        assert site.sandboxes("Toy") == []


def test_payloads(site):
    """6 MB each way: one byte more is refused before the function runs, or is the function's error."""
    room = REQUEST_BYTES_MAX - len(b'{"do":"environment","n":""}')
    assert not site.call("Toy", b'{"do":"environment","n":"%b"}' % (b"x" * room)).error
    with pytest.raises(PayloadTooLarge, match="6291456 bytes"):
        site.call("Toy", b'{"do":"environment","n":"%b"}' % (b"x" * (room + 1)))

    assert len(site.call("Toy", {"do": "large", "bytes": RESPONSE_BYTES_MAX}).payload) == RESPONSE_BYTES_MAX
    result = site.call("Toy", {"do": "large", "bytes": RESPONSE_BYTES_MAX + 1})
    assert result.problem["errorType"] == "Function.ResponseSizeTooLarge"
    assert "6291556 bytes" in result.problem["errorMessage"]


def test_reserved_concurrency(tmp_path):
    """With one reserved, a second invocation at the same time is refused."""
    with LambdaSite(toy(tmp_path, ReservedConcurrentExecutions=1)) as site, ThreadPoolExecutor(1) as pool:
        running = pool.submit(site.call, "Toy", {"do": "sleep", "seconds": 2})
        until(lambda: any("sleeping" in each.lines for each in site.sandboxes("Toy")))
        with pytest.raises(Throttled):
            site.call("Toy", {})
        assert not running.result().error
        assert not site.call("Toy", {}).error


@pytest.mark.parametrize(("tries", "error"), [(3, False), (4, True)])
def test_an_asynchronous_invocation_is_tried_three_times(site, tmp_path, tries, error):
    """With one request id for all."""
    file = tmp_path / "tries"
    result = site.start("Toy", {"do": "fail_until", "tries": tries, "file": str(file)}).result(60)

    assert result.error is error
    assert [result.request_id] * 3 == file.read_text().split()


def test_retries_of_the_template(tmp_path):
    """ "Configuring error handling for asynchronous invocation": MaximumRetryAttempts."""
    with LambdaSite(toy(tmp_path, EventInvokeConfig={"MaximumRetryAttempts": 0})) as site:
        file = tmp_path / "tries"
        assert site.start("Toy", {"do": "fail_until", "tries": 2, "file": str(file)}).result(60).error
        assert len(file.read_text().split()) == 1


def test_nothing_of_ours_comes_through(site, monkeypatch):
    """A sandbox is told what Lambda tells it, and nothing that this process was told."""
    monkeypatch.setenv("SECRET_OF_THE_DEVELOPER", "1")
    site.forget_idle("Toy")
    told = site.invoke("Toy", {"do": "environment"})

    assert {"HOME", "USER", "SECRET_OF_THE_DEVELOPER", "CAUSEWAY_TEST_SERVICES", "VIRTUAL_ENV"} & set(
        told
    ) == set()
    assert told["AWS_LAMBDA_FUNCTION_NAME"] == "causeway-toy-Toy"
    assert told["LAMBDA_TASK_ROOT"] == str(site.package.root)


def test_logs(site):
    """What a function prints stands in its log, JSON apart."""
    site.invoke("Toy", {})

    assert "imported" in site.lines("Toy")
    assert site.events("Toy") == [] == site.metrics("Toy")


def test_a_runtime_that_could_not_answer_is_not_used_again(site):
    """awslambdaric ends when its answer is refused: the next invocation must not meet its last moments."""
    for _ in range(5):
        assert site.call("Toy", {"do": "large", "bytes": RESPONSE_BYTES_MAX + 1}).error
        assert not site.call("Toy", {}).error
