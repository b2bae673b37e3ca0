"""checkov finds nothing in infra/terraform but what infra/terraform/checkov.yaml argues."""

from pathlib import Path

import pytest
import yaml

from tests.infra.terraform import MODULE, copied
from tests.infra.test_checkov import run_checkov
from tests.services.install import checkov
from tests.services.needed import needed

CONFIG = MODULE / "checkov.yaml"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Checks that fail, with no exception made."""
    program = needed(checkov)
    directory = copied(tmp_path_factory.mktemp("checkov"))
    (directory / CONFIG.name).unlink()
    told = run_checkov(program, directory, "terraform")
    assert told["summary"]["parsing_errors"] == 0 and told["summary"]["resource_count"] > 80
    return {each["check_id"] for each in told["results"]["failed_checks"]}


def test_nothing_fails_that_is_not_argued(failed: set[str]) -> None:
    """Every failing check is an exception, and no exception is without use."""
    assert failed == set(yaml.safe_load(CONFIG.read_text())["skip-check"])


def test_every_exception_is_argued() -> None:
    """A comment stands above each, or above those that share it."""
    lines = Path(CONFIG).read_text().splitlines()
    first = lines.index("skip-check:")

    assert lines[first + 1].strip().startswith("#")
    assert [line for line in lines[first + 1 :] if not line.strip().startswith(("#", "- CKV"))] == []
