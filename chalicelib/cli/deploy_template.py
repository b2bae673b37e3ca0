"""infra/cloudformation/*.yaml → the one merge template that `chalice package` takes, for one stage.

    merge_template(project, "west")        for `chalice package --merge-template`
    python -m chalicelib.cli.deploy_template west > build/merge.json     the same from a shell

Each file holds one concern. each-table.yaml is made once for every table of ports/metadata.py,
each-function.yaml once for every function of app.py; <Table>, <table>, <Function>, <function> are names.
Errors  Failure(USAGE): no such stage, one that names another's site or no region; two files that say
        different things of one property
Source  Chalice, "chalice package --merge-template": mappings are merged, everything else is replaced.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.cli.failure import usage
from chalicelib.ports.metadata import Table

Plain = dict[str, Any]

TEMPLATES = Path("infra", "cloudformation")
# Logical id → name in app.py. Chalice derives the one from the other, but for the handler of the API.
FUNCTIONS = {
    "APIHandler": "api_handler",
    "Gateway": "gateway",
    "OnDocuments": "on_documents",
    "Fullsync": "fullsync",
    "FullsyncStep": "fullsync_step",
    "Sweep": "sweep",
    "Collect": "collect",
    "Administrator": "administrator",
}
_EACH = {
    "each-table": [{"<Table>": table.value.capitalize(), "<table>": table.value} for table in Table],
    "each-function": [{"<Function>": logical, "<function>": name} for logical, name in FUNCTIONS.items()],
}


def merge_template(project: Path, stage: str) -> Plain:
    """Everything in infra/cloudformation, merged, for the site of a stage."""
    merged: Plain = {}
    for path in sorted((project / TEMPLATES).glob("*.yaml")):
        for part in _parts(path):
            _merge(merged, part, path.name)
    merged["Parameters"]["Site"]["Default"] = stage_variables(project, stage)["CAUSEWAY_SITE"]
    return merged


def stage_variables(project: Path, stage: str) -> dict[str, str]:
    """The environment of a stage's functions, as .chalice/config.json has it; it names the stage's own site.

    A stage copied from another and not changed would be deployed over that other's site.
    """
    path = project / ".chalice" / "config.json"
    try:
        config = json.loads(path.read_text())
        stages = config["stages"]
    except (OSError, ValueError, KeyError) as problem:
        raise usage(f"{path} cannot be used ({problem}): run this in a checkout of Causeway") from problem
    if stage not in stages:
        raise usage(f"there is no stage {stage!r} in {path}; there are: {', '.join(sorted(stages))}")
    own: dict[str, str] = stages[stage].get("environment_variables", {})
    variables: dict[str, str] = {**config.get("environment_variables", {}), **own}
    for name in ("CAUSEWAY_SITE", "CAUSEWAY_REGION"):
        if not variables.get(name):
            raise usage(f"stage {stage} lacks {name}: give it in the stage's environment_variables in {path}")
    site = variables["CAUSEWAY_SITE"]
    if site != stage:
        raise usage(
            f"stage {stage} says CAUSEWAY_SITE={site}; a stage is a site: set it to {stage} in {path}"
        )
    return variables


def _parts(path: Path) -> Iterator[Plain]:
    text = path.read_text()
    for names in _EACH.get(path.stem, [{}]):
        yield _load(_filled(text, names), path.name)


def _filled(text: str, names: dict[str, str]) -> str:
    return re.sub("|".join(names), lambda found: names[found[0]], text) if names else text


@cache
def _load(text: str, name: str) -> Plain:
    # Chalice's own reader of merge templates, which knows !Ref, !GetAtt and the others.
    from chalice.package import YAMLTemplateSerializer

    loaded: Plain = YAMLTemplateSerializer().load_template(text, name)
    return loaded


def _merge(into: Plain, part: Plain, name: str) -> None:
    """Put `part` into `into`. Two files may add to one resource, but not say different things of it."""
    for key, value in part.items():
        there = into.get(key)
        if key not in into:
            into[key] = json.loads(json.dumps(value))  # no YAML anchor may tie two places together
        elif isinstance(there, dict) and isinstance(value, dict):
            _merge(there, value, name)
        elif there != value:
            raise usage(f"{name}: {key} is said differently in another file of {TEMPLATES}")


if __name__ == "__main__":
    print(json.dumps(merge_template(Path.cwd(), sys.argv[1]), indent=1))
