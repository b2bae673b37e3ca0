"""What `causeway deploy package` makes, once for all tests that look at the same files, unzipped.

    package = packaged("west")        of this checkout: the real app.py, .chalice/ and infra/
    package.template                  the SAM template
    package.root, package.layers      the code as /var/task and /opt hold it

Kept in the cache under a hash of everything that goes in; the layer, whose wheels take long, under a hash of
requirements.txt. Workers of a test run wait for each other.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.cli.deploy_bytecode import add_bytecode
from chalicelib.cli.deploy_template import TEMPLATES, merge_template
from tests.lambda_host.locking import only_one
from tests.services.install import cache_directory

ROOT = Path(__file__).parent.parent.parent
KEPT_SECONDS = 24 * 3600
LAYER_ZIP, CODE_ZIP = "layer-deployment.zip", "deployment.zip"


class NotPackaged(Exception):
    """`chalice package` failed; the message is what it said."""


@dataclass(frozen=True)
class Package:
    """What was built for one stage."""

    stage: str
    directory: Path
    template: dict[str, Any]
    root: Path
    layers: tuple[Path, ...]
    variables: dict[str, str]  # of the stage, as .chalice/config.json has them

    @property
    def zips(self) -> dict[str, int]:
        """Name → bytes of what is uploaded to AWS."""
        return {path.name: path.stat().st_size for path in sorted(self.directory.glob("*.zip"))}


def packaged(stage: str, project: Path = ROOT) -> Package:
    """The package of one stage; NotPackaged."""
    files = sorted(_sources(project))
    name = f"{stage}-{_hash(project, files, stage)}"
    directory = cache_directory() / "packages" / name
    if not (directory / "done").exists():
        with only_one("package"):
            if not (directory / "done").exists():
                _forget_old(directory.parent)
                _build(project, files, stage, directory)
    (directory / "done").touch()
    return _read(stage, directory, directory / "code", project)


def _read(stage: str, directory: Path, root: Path, project: Path) -> Package:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    opt = (directory / "layer").resolve()
    # The order of a managed runtime's sys.path.
    places = (opt / "python" / "lib" / python / "site-packages", opt / "python")
    config = json.loads((project / ".chalice" / "config.json").read_text())
    variables = config.get("environment_variables", {}) | config["stages"].get(stage, {}).get(
        "environment_variables", {}
    )
    return Package(
        stage,
        directory,
        _template(directory),
        root.resolve(),
        tuple(place for place in places if place.exists()),
        variables,
    )


def _template(directory: Path) -> dict[str, Any]:
    if (directory / "sam.json").exists():
        return json.loads((directory / "sam.json").read_text())
    from awscli.customizations.cloudformation.yamlhelper import yaml_parse  # knows !Ref and the like

    return yaml_parse((directory / "sam.yaml").read_text())


def _build(project: Path, files: list[Path], stage: str, directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".build-") as temporary:
        copy, out = Path(temporary, "project"), Path(temporary, "out")
        for path in files:
            target = copy / path.relative_to(project)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        layer = _layer_place(project)
        shutil.copytree(layer, copy / ".chalice" / "deployments", dirs_exist_ok=True)
        _run(copy, out, stage)
        for built in (copy / ".chalice" / "deployments").glob("managed-layer-*.zip"):
            if not (layer / built.name).exists():
                shutil.copy2(built, layer / built.name)
        add_bytecode(out / CODE_ZIP)
        add_bytecode(out / LAYER_ZIP)
        _unzip(out / CODE_ZIP, out / "code")
        unzipped = layer.with_name(f"{layer.name}-unzipped")
        if not unzipped.exists():
            _unzip(out / LAYER_ZIP, Path(temporary, "layer"))
            Path(temporary, "layer").rename(unzipped)
        (out / "layer").symlink_to(unzipped)
        (out / "done").touch()
        out.rename(directory)


def _run(copy: Path, out: Path, stage: str) -> None:
    config = json.loads((copy / ".chalice" / "config.json").read_text())
    of_stage = config["stages"].get(stage, {})
    policy = of_stage.get("iam_policy_file")
    if policy and not (copy / ".chalice" / policy).exists():
        (copy / ".chalice" / policy).write_text('{"Version": "2012-10-17", "Statement": []}')
    region = of_stage.get("environment_variables", {}).get("CAUSEWAY_REGION", "us-east-1")
    command = [str(Path(sys.executable).parent / "chalice"), "package", "--stage", stage]
    if (copy / TEMPLATES).is_dir():
        merge = out.with_name("merge.json")
        merge.write_text(json.dumps(merge_template(copy, stage)))
        command += ["--merge-template", str(merge)]
    done = subprocess.run(
        [*command, str(out)],
        cwd=copy,
        env=_plain_environment() | {"AWS_DEFAULT_REGION": region},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise NotPackaged(f"chalice package --stage {stage}:\n{done.stdout[-4000:]}")


def _plain_environment() -> dict[str, str]:
    """Nothing of ours may decide what is packaged."""
    return {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "CAUSEWAY_"))}


def _sources(project: Path) -> Iterator[Path]:
    yield project / "app.py"
    yield project / "requirements.txt"
    for directory, patterns in {
        "chalicelib": ("*.py", "*.json", "*.pem"),
        ".chalice": ("*.json",),
        "infra": ("*.json", "*.yaml"),
        "vendor": ("*",),
    }.items():
        for pattern in patterns:
            found = (project / directory).rglob(pattern)
            yield from (path for path in found if path.is_file() and "deployments" not in path.parts)


def _hash(project: Path, files: list[Path], *more: str) -> str:
    hashed = hashlib.sha256(repr((sys.version_info[:2], _chalice(), *more)).encode())
    for path in files:
        hashed.update(f"\0{path.relative_to(project)}\0".encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:20]


def _chalice() -> str:
    from importlib.metadata import version

    return version("chalice") + " 2"  # and the way packages are kept here


def _layer_place(project: Path) -> Path:
    place = cache_directory() / "layers" / _hash(project, [project / "requirements.txt"])
    place.mkdir(parents=True, exist_ok=True)
    return place


def _unzip(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(target)


def _forget_old(place: Path) -> None:
    for done in place.glob("*/done"):
        if time.time() - done.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(done.parent, ignore_errors=True)
