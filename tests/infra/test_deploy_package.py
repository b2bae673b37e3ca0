"""`causeway deploy package`: what it leaves, and what it refuses before anything is uploaded."""

import json
import shutil
from pathlib import Path

import pytest

from tests.infra.deploying import NO, OK, REGION, run
from tests.lambda_host.packaging import ROOT, Package, _layer_place


@pytest.fixture
def checkout(west: Package, tmp_path: Path) -> Path:
    """A copy of this one, with the layer that was built for the run."""
    place = tmp_path / "checkout"
    place.mkdir()
    for name in ("app.py", "requirements.txt"):
        shutil.copy2(ROOT / name, place / name)
    for name in (".chalice", "infra", "chalicelib"):
        shutil.copytree(
            ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "deployments")
        )
    shutil.copytree(_layer_place(ROOT), place / ".chalice" / "deployments")
    return place


def test_package_leaves_a_template_and_zips(checkout: Path) -> None:
    """`causeway deploy package` in a checkout: zips, template, and the variables of Terraform's module."""
    ran = run("package", "--stage", "west", "--project", checkout, "--format", "terraform", "--json")

    assert ran.exit == OK, ran.out
    assert (ran.json["stack"], ran.json["region"]) == ("causeway-west", REGION)
    assert ran.json["directory"] == str(checkout / "build" / "west")
    assert set(ran.json["zips"]) == {"deployment.zip", "layer-deployment.zip"}
    assert sum(ran.json["zips"].values()) < 50_000_000
    variables = json.loads(Path(ran.json["variables"]).read_text())
    assert variables["site"] == "west" and variables["functions"]["collect"]["timeout"] == 900


def test_package_refuses_what_cannot_be_deployed(checkout: Path) -> None:
    """A function without a role, a prefix that is not the tables': said before anything is uploaded."""
    config = checkout / ".chalice" / "config.json"
    config.write_text(config.read_text().replace('_PREFIX": "causeway-west"', '_PREFIX": "other"'))
    with (checkout / "app.py").open("a") as file:
        file.write("\n\n@app.lambda_function(name='forgotten')\ndef forgotten(event, context):\n    pass\n")
    ran = run("package", "--stage", "west", "--project", checkout, "--json")

    assert ran.exit == NO
    assert "Forgotten of app.py has no role" in ran.json["message"]
    assert "CAUSEWAY_DYNAMODB_PREFIX of stage west is not causeway-west" in ran.json["message"]


def test_what_chalice_refuses_is_told(checkout: Path) -> None:
    """A mistake in app.py is Chalice's to name, and the command's to pass on."""
    (checkout / "app.py").write_text("import nothing_of_that_name\n")
    ran = run("package", "--stage", "west", "--project", checkout, "--json")

    assert ran.exit == NO and "nothing_of_that_name" in ran.json["message"]
