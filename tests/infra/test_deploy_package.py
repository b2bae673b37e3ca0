"""`causeway deploy package`: what it leaves, and what it refuses before anything is uploaded."""

import json
import shutil
from pathlib import Path

import pytest

from tests.command import NO, OK, USAGE
from tests.infra.deploying import REGION, run
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
    assert (ran.json["site"], ran.json["region"]) == ("west", REGION)
    assert ran.json["directory"] == str(checkout / "build" / "west")
    assert set(ran.json["zips"]) == {"deployment.zip", "layer-deployment.zip"}
    assert sum(ran.json["zips"].values()) < 50_000_000
    assert "stack" not in ran.json  # Terraform has none
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
    again = run("plan", "--stage", "west", "--project", checkout, "--built", "--format", "terraform")
    assert again.exit == USAGE and "holds no package" in again.err  # what was refused is not there


def test_what_chalice_refuses_is_told(checkout: Path) -> None:
    """A mistake in app.py is Chalice's to name, and the command's to pass on."""
    (checkout / "app.py").write_text("import nothing_of_that_name\n")
    ran = run("package", "--stage", "west", "--project", checkout, "--json")

    assert ran.exit == NO and "nothing_of_that_name" in ran.json["message"]


def stages(checkout: Path, **more: dict[str, str]) -> None:
    """Stages of .chalice/config.json beside those that are there."""
    path = checkout / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"] |= {name: {"environment_variables": said} for name, said in more.items()}
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("verb", ["package", "plan", "apply", "administrator", "show"])
def test_a_stage_that_is_not_its_own_site_is_refused(checkout: Path, verb: str) -> None:
    """One that was copied would be deployed over the other site; one without a region is nowhere."""
    east = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]["east"]
    copied = east["environment_variables"]
    stages(checkout, north=copied, noreg={"CAUSEWAY_SITE": "noreg"}, nosite={"CAUSEWAY_REGION": REGION})
    told = {
        stage: run(verb, "--stage", stage, "--project", checkout) for stage in ("north", "noreg", "nosite")
    }

    assert {ran.exit for ran in told.values()} == {USAGE}
    assert "stage north says CAUSEWAY_SITE=east; a stage is a site: set it to north" in told["north"].err
    assert "stage noreg lacks CAUSEWAY_REGION" in told["noreg"].err
    assert "stage nosite lacks CAUSEWAY_SITE" in told["nosite"].err


def test_a_package_is_used_for_its_own_stage(checkout: Path, west: Package, tmp_path: Path) -> None:
    """Another site's, one of before the region was changed, one without its zips: each is said."""
    out = tmp_path / "package"
    shutil.copytree(west.directory, out, ignore=shutil.ignore_patterns("code", "layer", "done"))
    of_west = ("--project", checkout, "--built", "--out", out, "--format", "terraform")
    theirs = run("plan", "--stage", "east", *of_west)
    config = checkout / ".chalice" / "config.json"
    before = config.read_text()
    config.write_text(before.replace("us-west-2", "eu-west-1"))
    moved = run("apply", "--stage", "west", *of_west)
    config.write_text(before)
    (out / "layer-deployment.zip").unlink()
    lost = run("plan", "--stage", "west", *of_west)

    assert {theirs.exit, moved.exit, lost.exit} == {USAGE}
    assert f"{out} was packaged for west, not east: `causeway deploy package --stage east`" in theirs.err
    assert "was packaged for us-west-2, not eu-west-1" in moved.err
    assert "lacks layer-deployment.zip" in lost.err


def test_a_place_that_cannot_be_written_is_told(checkout: Path, tmp_path: Path) -> None:
    """Wrong use, before anything is packaged."""
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", "/proc/nope"):
        ran = run("package", "--stage", "west", "--project", checkout, "--out", place)

        assert ran.exit == USAGE and f"--out {place}: cannot be written: " in ran.err
    assert (tmp_path / "file").read_text() == "mine"


def test_terraform_is_told_its_own_command(checkout: Path, west: Package, tmp_path: Path) -> None:
    """`plan` and `apply` print it, with a variables file that is there, over any package; nothing is run."""
    out = tmp_path / "package"
    shutil.copytree(west.directory, out, ignore=shutil.ignore_patterns("code", "layer", "done"))
    for verb in ("plan", "apply"):
        (out / "causeway.tfvars.json").unlink(missing_ok=True)
        said = ("--stage", "west", "--project", checkout, "--built", "--out", out, "--format", "terraform")
        ran = run(verb, *said, "--profile", "ops")

        assert ran.exit == OK, ran.err
        module = checkout / "infra" / "terraform"
        file = out / "causeway.tfvars.json"
        expected = f"AWS_PROFILE=ops AWS_REGION=us-west-2 terraform -chdir={module} {verb} -var-file={file}"
        assert " ".join(ran.out.split()) == expected
        assert file.is_file()


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_options_of_cloudformation_are_not_swallowed(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform has variables of its own; a format that there is not is said before anything is packaged."""
    monkeypatch.setattr("chalicelib.cli.deploy.package", lambda *_: pytest.fail("it was packaged"))
    said = (verb, "--stage", "west", "--project", ROOT, "--format")
    parameter = run(*said, "terraform", "--parameter", "Nope=1", "--adopt")
    adopt = run(*said, "terraform", "--adopt")
    unknown = run("package", *said[1:], "xml")

    assert {parameter.exit, adopt.exit, unknown.exit} == {USAGE}
    assert "--parameter is CloudFormation's; use -var alarm_email=" in parameter.err
    assert "--adopt is CloudFormation's" in adopt.err
    assert "--format xml: cloudformation or terraform" in unknown.err


def test_credentials_come_before_packaging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has none hears of it at once."""
    monkeypatch.setattr("chalicelib.cli.deploy.package", lambda *_: pytest.fail("it was packaged"))
    for verb in ("plan", "apply"):
        nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        ran = run(verb, "--stage", "west", "--project", ROOT, **nobody)

        assert ran.exit == USAGE and "no AWS credentials" in ran.err


def test_the_checkout_is_named(checkout: Path) -> None:
    """What is packaged need not be what somebody thinks."""
    (checkout / "app.py").write_text("import nothing_of_that_name\n")
    ran = run("package", "--stage", "west", "--project", checkout)

    assert ran.exit == NO and f"packaging west from {checkout}" in ran.err.replace("\n", "")
