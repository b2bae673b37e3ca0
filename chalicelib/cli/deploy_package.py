"""`chalice package` over infra/, and what must be true of what it made.

    build = package(find_project(None), "west", out)    build.template, build.zips, build.region, …

Promise  the zips are the same, byte for byte, for every stage; nothing of this machine's AWS or CAUSEWAY_
         variables gets into them; a function without its own role, or an infra/ file about a function that
         app.py has not, is an error here and not in the middle of a deployment; what was refused cannot be
         opened, and neither can another stage's
Errors   Failure(USAGE): no checkout of Causeway, no such stage, a place that cannot be written, no package of
         the stage · Failure(NO): Chalice or a check says no
Source   Chalice, "chalice package"; Lambda quotas: 50 MB zipped, 250 MB unzipped.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.cli.deploy_bytecode import add_bytecode
from chalicelib.cli.deploy_process import finished
from chalicelib.cli.deploy_template import FUNCTIONS, TEMPLATES, merge_template, stage_variables
from chalicelib.cli.failure import Exit, Failure, usage

APP = "causeway"
ZIPPED_MAX = 50_000_000
UNZIPPED_MAX = 250_000_000  # of a function and its layer together
TEMPLATE_FILE = "sam.json"
_CHALICE = "import sys; from chalice.cli import main; sys.argv[0] = 'chalice'; sys.exit(main())"
_ZIPS = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


@dataclass(frozen=True)
class Build:
    """What `chalice package` made for one stage."""

    stage: str
    site: str
    region: str
    directory: Path
    template: dict[str, Any]

    @property
    def stack(self) -> str:
        """The stack of the stage."""
        return f"{APP}-{self.site}"

    @property
    def zips(self) -> list[Path]:
        """What is uploaded beside the template."""
        return sorted({self.directory / uri for _, uri in zip_places(self.template)})


def find_project(given: Path | None) -> Path:
    """The checkout to deploy: what was given, the directory we are in, or the one this command came from."""
    places = [given] if given else [Path.cwd(), Path(__file__).resolve().parents[2]]
    for place in places:
        if (place / ".chalice" / "config.json").is_file() and (place / TEMPLATES).is_dir():
            return place
    raise usage(f"{places[0]} is no checkout of Causeway: it needs app.py, .chalice/ and {TEMPLATES}/")


def package(project: Path, stage: str, out: Path) -> Build:
    """Package a stage into `out`."""
    variables = stage_variables(project, stage)
    merged = json.dumps(merge_template(project, stage), indent=1)
    merge = out / "merge.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / TEMPLATE_FILE).unlink(missing_ok=True)  # of before: it must not outlive a failure now
        merge.write_text(merged)
    except OSError as problem:
        why = problem.strerror or problem
        raise usage(f"--out {out}: cannot be written: {why}; name a directory of your own") from problem
    try:
        return _packaged(project, stage, out, variables)
    except BaseException:
        (out / TEMPLATE_FILE).unlink(missing_ok=True)
        raise


def _packaged(project: Path, stage: str, out: Path, variables: dict[str, str]) -> Build:
    merge = out / "merge.json"
    finished(
        "chalice package failed",
        [sys.executable, "-c", _CHALICE, "package", "--stage", stage, "--merge-template", merge, out],
        _plain_environment() | {"AWS_DEFAULT_REGION": variables["CAUSEWAY_REGION"]},
        project,
    )
    merge.unlink()
    build = opened(project, stage, out)
    for path in build.zips:
        add_bytecode(path)
    problems = [*_problems(build, variables)]
    if problems:
        raise Failure(Exit.NO, f"what was packaged cannot be deployed: {'; '.join(problems)}")
    return build


def opened(project: Path, stage: str, out: Path) -> Build:
    """What was packaged before, whole, and for this stage."""
    variables = stage_variables(project, stage)
    make = f"`causeway deploy package --stage {stage}`"
    try:
        template = json.loads((out / TEMPLATE_FILE).read_text())
    except (OSError, ValueError):
        raise usage(f"{out} holds no package: {make} makes it") from None
    build = Build(stage, variables["CAUSEWAY_SITE"], variables["CAUSEWAY_REGION"], out, template)
    for what, found in (("Site", build.site), ("CAUSEWAY_REGION", build.region)):
        for packaged in _said(template, what) - {found}:
            raise usage(f"{out} was packaged for {packaged}, not {found}: {make}, or another --out")
    lost = [path.name for path in build.zips if not path.is_file()]
    if lost:
        raise usage(f"{out} lacks {', '.join(lost)}: {make} makes the package anew")
    return build


def _said(template: dict[str, Any], what: str) -> set[str]:
    """The site of a package, or its region as each function is told it."""
    if what == "Site":
        return {str(template["Parameters"]["Site"].get("Default"))}
    functions = [one for one in template["Resources"].values() if one.get("Type") in _ZIPS]
    told = [one["Properties"].get("Environment", {}).get("Variables", {}).get(what) for one in functions]
    return {one for one in told if one}


def zip_places(template: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every resource of a template that names a zip beside it, and the name."""
    for resource in template["Resources"].values():
        place = _ZIPS.get(resource.get("Type", ""))
        if place:
            yield resource, resource["Properties"][place]


def with_zips(template: dict[str, Any], uris: dict[str, str]) -> dict[str, Any]:
    """The template with every zip's name replaced by where it was uploaded to."""
    copy: dict[str, Any] = json.loads(json.dumps(template))
    for resource, name in list(zip_places(copy)):
        resource["Properties"][_ZIPS[resource["Type"]]] = uris[Path(name).name]
    return copy


def _plain_environment() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "CAUSEWAY_"))}  # noqa: TID251


def _problems(build: Build, variables: dict[str, str]) -> Iterator[str]:
    resources = build.template["Resources"]
    for name, resource in resources.items():
        if "Type" not in resource:
            yield f"{TEMPLATES} speaks of {name}, which app.py does not make"
        elif resource["Type"] == "AWS::Serverless::Function" and name not in FUNCTIONS:
            yield f"{name} of app.py has no role, no logs and no alarms: add it to deploy_template.FUNCTIONS"
    for name in FUNCTIONS.keys() - resources.keys():
        yield f"{name} is missing from app.py"
    prefix = f"{APP}-{build.site}"
    if variables.get("CAUSEWAY_DYNAMODB_PREFIX") != prefix:
        yield f"CAUSEWAY_DYNAMODB_PREFIX of stage {build.stage} is not {prefix}, as the tables are called"
    if variables.get("CAUSEWAY_BLOCKS_REGION") != build.region:
        yield f"CAUSEWAY_BLOCKS_REGION of stage {build.stage} is not its region, {build.region}"
    yield from _too_large(build.zips)


def _too_large(zips: list[Path]) -> Iterator[str]:
    unzipped = 0
    for path in zips:
        if path.stat().st_size > ZIPPED_MAX:
            yield f"{path.name} has {path.stat().st_size} bytes; Lambda takes {ZIPPED_MAX}"
        with zipfile.ZipFile(path) as archive:
            unzipped += sum(entry.file_size for entry in archive.infolist())
    if unzipped > UNZIPPED_MAX:
        yield f"the zips hold {unzipped} bytes; Lambda takes {UNZIPPED_MAX}"
