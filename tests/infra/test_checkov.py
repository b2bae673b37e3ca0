"""checkov finds nothing in the packaged and in the translated template but what infra/checkov.yaml argues."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.translated import translated
from tests.lambda_host.packaging import ROOT, Package
from tests.services.install import checkov
from tests.services.needed import needed

CONFIG = ROOT / "infra" / "checkov.yaml"


@pytest.fixture(scope="module")
def failed(west: Package, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Check → resources that fail it, with no exception made."""
    program = needed(checkov)
    directory = tmp_path_factory.mktemp("checkov")
    (directory / "packaged.json").write_text(json.dumps(west.template))
    (directory / "translated.json").write_text(json.dumps(translated(west)))
    told = run_checkov(program, directory)
    found: dict[str, set[str]] = {}
    assert told["summary"]["parsing_errors"] == 0 and told["summary"]["resource_count"] > 150
    for each in told["results"]["failed_checks"]:
        found.setdefault(each["check_id"], set()).add(each["resource"])
    return found


def run_checkov(program: Path, directory: Path, framework: str = "cloudformation") -> Any:
    """Its report on everything in a directory."""
    command = [str(program), "--directory", str(directory), "--framework", framework]
    command += ["--skip-download", "--soft-fail", "--quiet", "--compact", "--output", "json"]
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"LOG_LEVEL": "ERROR"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_nothing_fails_that_is_not_argued(failed: dict[str, set[str]]) -> None:
    """Every failing check is an exception of infra/checkov.yaml."""
    argued = set(yaml.safe_load(CONFIG.read_text())["skip-check"])

    assert {check: where for check, where in failed.items() if check not in argued} == {}


def test_no_exception_is_without_use(failed: dict[str, set[str]]) -> None:
    """An exception that nothing needs any more is taken out."""
    argued = set(yaml.safe_load(CONFIG.read_text())["skip-check"])

    assert argued - failed.keys() == set()


def test_every_exception_is_argued() -> None:
    """A comment stands above each."""
    lines = CONFIG.read_text().splitlines()
    silent = [
        line
        for before, line in zip(lines, lines[1:], strict=False)
        if line.strip().startswith("- CKV") and not before.strip().startswith("#")
    ]

    assert silent == []
