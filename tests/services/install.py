"""Installs what the tests run beside us: MinIO, mc and rclone from source, DynamoDB Local by Maven, checkov,
Terraform, and the package that holds the schema of Terraform's AWS provider.

Run     python -m tests.services.install (`make services`); a second run is quick
Where   ${CAUSEWAY_CACHE:-~/.cache/causeway}: bin/<tool>, dynamodb-local-<version>/*.jar
Missing go, java or mvn: says by name what is skipped and why; with CI=true that is an error
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class GoTool:
    """A program built by `go install`, with the version the tests are written against."""

    name: str
    module: str
    version: str

    @property
    def source(self) -> str:
        return f"{self.module}@{self.version}"


GO_TOOLS = {
    tool.name: tool
    for tool in (
        GoTool("minio", "github.com/minio/minio", "v0.0.0-20250907161309-07c3a429bfed"),
        GoTool("mc", "github.com/minio/mc", "v0.0.0-20250313080218-cf909e1063a9"),
        GoTool("rclone", "github.com/rclone/rclone", "v1.68.2"),
        # The last under the MPL, and the oldest that infra/terraform is for. Not built where there is one.
        GoTool("terraform", "github.com/hashicorp/terraform", "v1.5.7"),
    )
}
DYNAMODB_LOCAL = "DynamoDB Local"
CHECKOV, CHECKOV_VERSION = "checkov", "3.3.30"
PROVIDER, PROVIDER_VERSION = "cdktn-provider-aws", "25.8.1"  # made from terraform-provider-aws 6


class Missing(Exception):
    """A service cannot be had on this machine; the message says which and why."""


def in_ci() -> bool:
    """CI=true: what is missing is an error there, a skip everywhere else."""
    return os.environ.get("CI", "").lower() in ("true", "1")


def cache_directory() -> Path:
    """Where installed services are kept between checkouts."""
    chosen = os.environ.get("CAUSEWAY_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "causeway"


def binary(name: str) -> Path:
    """The path of an installed Go tool at the wanted version, or Missing."""
    tool = GO_TOOLS[name]
    if name == "terraform" and (there := shutil.which(name)):
        return Path(there)
    path = cache_directory() / "bin" / name
    stamp = path.with_name(f"{name}.version")
    if path.exists() and stamp.exists() and stamp.read_text() == tool.source:
        return path
    if not shutil.which("go"):
        raise Missing(f"{name}: go is not installed")
    raise Missing(f"{name}: not built yet, run `make services`")


def dynamodb_local_jars() -> Path:
    """The directory with DynamoDB Local's jars and native libraries, or Missing."""
    path = _dynamodb_local_path()
    for program in ("java", "mvn"):
        if not shutil.which(program) and (program == "java" or not path.exists()):
            raise Missing(f"{DYNAMODB_LOCAL}: {program} is not installed")
    if not path.exists():
        raise Missing(f"{DYNAMODB_LOCAL}: not fetched yet, run `make services`")
    return path


def install_go_tool(name: str) -> None:
    """Builds one Go tool into the cache; its version is written last, so half a build is none."""
    go = shutil.which("go")
    if go is None:
        raise Missing(f"{name}: go is not installed")
    tool = GO_TOOLS[name]
    bin_directory = cache_directory() / "bin"
    bin_directory.mkdir(parents=True, exist_ok=True)
    _run([go, "install", tool.source], name, environment={"GOBIN": str(bin_directory)})
    (bin_directory / f"{name}.version").write_text(tool.source)


def install_dynamodb_local() -> None:
    """Lets Maven copy DynamoDB Local with its run-time dependencies into the cache."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise Missing(f"{DYNAMODB_LOCAL}: {program} is not installed")
    target = _dynamodb_local_path()
    with tempfile.TemporaryDirectory(dir=cache_directory()) as temporary:
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(HERE / "pom.xml")]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        _run([*command, f"-DoutputDirectory={temporary}/jars"], DYNAMODB_LOCAL)
        os.rename(f"{temporary}/jars", target)


def checkov() -> Path:
    """The path of checkov, which pins so much that it has an environment of its own; or Missing."""
    if not (_checkov_path() / "done").exists():
        raise Missing(f"{CHECKOV}: not installed yet, run `make services`")
    return _checkov_path() / "bin" / "checkov"


def install_checkov() -> None:
    """Makes that environment; `done` is written last, so half of one is none."""
    shutil.rmtree(_checkov_path(), ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(_checkov_path())], CHECKOV)
    pip = [str(_checkov_path() / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", f"checkov=={CHECKOV_VERSION}"], CHECKOV)
    (_checkov_path() / "done").touch()


def provider_package() -> Path:
    """The wheel that holds the schema of Terraform's AWS provider, or Missing."""
    found = list(cache_directory().glob(f"{PROVIDER.replace('-', '_')}-{PROVIDER_VERSION}-*.whl"))
    if not found:
        raise Missing(f"{PROVIDER}: not fetched yet, run `make services`")
    return found[0]


def fetch_provider_package() -> None:
    """Fetches it; it is read, never installed."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    with tempfile.TemporaryDirectory(dir=cache_directory()) as temporary:
        _run([*pip, "--dest", temporary, f"{PROVIDER}=={PROVIDER_VERSION}"], PROVIDER)
        for wheel in Path(temporary).iterdir():
            wheel.rename(cache_directory() / wheel.name)


def main() -> int:
    """Installs what is missing, one line each; returns the exit status."""
    from tests.lambda_host.environment import runtime_python  # it looks here where the cache is

    with _one_installer_at_a_time():
        there = [
            *(_install(n, partial(binary, n), partial(install_go_tool, n)) for n in GO_TOOLS),
            _install(DYNAMODB_LOCAL, dynamodb_local_jars, install_dynamodb_local),
            _install(CHECKOV, checkov, install_checkov),
            _install(PROVIDER, provider_package, fetch_provider_package),
            _install("awslambdaric", runtime_python, runtime_python),
        ]
    return 0 if all(there) or not in_ci() else 1


def _install(name: str, find: Callable[[], Path], install: Callable[[], None]) -> bool:
    """Installs one thing unless it is there, says what it does; False when it was skipped."""
    try:
        print(f"{name}: {find()}", flush=True)
        return True
    except Missing:
        print(f"{name}: installing, the first time takes minutes …", flush=True)
    try:
        install()
        print(f"{name}: {find()}", flush=True)
        return True
    except Missing as reason:
        print(f"SKIPPED {reason}", flush=True)
        return False


def _dynamodb_local_path() -> Path:
    found = re.search(r"<artifactId>DynamoDBLocal</artifactId>\s*<version>([^<]+)", _pom())
    assert found, "pom.xml names no version of DynamoDBLocal"
    return cache_directory() / f"dynamodb-local-{found[1]}"


def _checkov_path() -> Path:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return cache_directory() / f"checkov-{CHECKOV_VERSION}-{python}"


def _pom() -> str:
    return (HERE / "pom.xml").read_text()


def _run(command: list[str], name: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=cache_directory(),
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise Missing(f"{name}: `{' '.join(command[:3])}` failed ({done.returncode}):\n{tail}")


@contextmanager
def _one_installer_at_a_time() -> Iterator[None]:
    cache_directory().mkdir(parents=True, exist_ok=True)
    with open(cache_directory() / "install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
