"""What a Lambda sandbox is made of: an interpreter with awslambdaric and nothing else, and its variables.

    python = runtime_python()                    of a virtual environment in the cache, made once
    variables(spec, …)                           the environment of the function's process

AWS's own /var/task cannot be written, so no bytecode is ever kept there: with `compiled=None` modules are
compiled at every cold start, as on AWS. With a directory their bytecode is kept there, which only saves time.
Source  AWS Lambda developer guide, "Defined runtime environment variables".
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.lambda_host.locking import only_one
from tests.lambda_host.template import FunctionSpec
from tests.services.install import Missing, cache_directory

RUNTIME_CLIENT = "awslambdaric==4.2.2"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ACCOUNT = "123456789012"  # moto's, too


def runtime_python() -> Path:
    """The interpreter of a sandbox; Missing when awslambdaric cannot be installed."""
    place = cache_directory() / f"{RUNTIME_CLIENT.replace('==', '-')}-python{sys.version.split()[0]}"
    python = place / "bin" / "python"
    with only_one("lambda-runtime"):
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
                made = Path(temporary, "made")
                _make(made)
                made.rename(place)
    return python


def _make(place: Path) -> None:
    venv.create(place, with_pip=False, symlinks=True)
    target = place / "lib" / f"python{VERSION}" / "site-packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(target), RUNTIME_CLIENT],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Missing(f"{RUNTIME_CLIENT}: cannot be installed:\n{done.stdout[-2000:]}")


def variables(
    spec: FunctionSpec,
    root: Path,
    paths: tuple[Path, ...],
    runtime_api: str,
    region: str,
    given: dict[str, str],
    compiled: Path | None,
) -> dict[str, str]:
    """Everything the process is told; nothing of ours comes through. `given` stands above the template."""
    told = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": spec.handler,
        "LAMBDA_TASK_ROOT": str(root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": spec.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.function_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{VERSION}",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "ASIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "test",
        # A role's keys are in the variables above; nothing may look for an instance's.
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join(map(str, (root, *paths))),
    }
    if compiled is None:
        told["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        told["PYTHONPYCACHEPREFIX"] = str(compiled)
    return told | spec.environment(given)
