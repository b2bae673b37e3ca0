"""The schema of Terraform's AWS provider, for the resource types of infra/terraform.

    schemas({"aws_sqs_queue", …})     type → Block(attributes, blocks), as the provider itself would tell

The provider itself cannot be had here: it is in no package registry. Its schema can: `cdktn-provider-aws` on
PyPI is made from it; every class says of each attribute whether it is required, optional, computed, a block.
What it does not hold is what the provider checks in code (enumerations, forms of names): nor do our tests.
Errors  Missing, as tests/services/install.py has it
"""

import json
import os
import re
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.services.install import cache_directory, provider_package

_ENTRY = re.compile(
    r"^\s+(?:\"?)(\w+)(?:\"?): \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n\s+type: \"(\w+)\",\n"
    r"\s+storageClassType: \"(\w+)\"",
    re.M,
)
_FLAGS = re.compile(r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n\s+(.*)\n(.*)")
_SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GETTERS = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getStringMapAttribute": ["map", "string"],
}


@dataclass
class Attribute:
    """`type` is as cty has it in JSON."""

    type: Any
    required: bool
    optional: bool
    computed: bool


@dataclass
class Block:
    """What may stand in a block; `blocks` holds nesting, most of them (0: any number) and what is in one."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, tuple[str, int, "Block"]] = field(default_factory=dict)


def schemas(types: set[str]) -> dict[str, Block]:
    """Resource type (data sources as `data.aws_region`) → its schema; Missing."""
    wheel = provider_package()
    sources = _sources(wheel, types)
    absent = types - sources.keys()
    assert not absent, f"the provider has no {sorted(absent)}"
    return {name: _Reader(text).whole() for name, text in sources.items()}


def _sources(wheel: Path, types: set[str]) -> dict[str, str]:
    """The generated JavaScript of each type, kept, since finding it reads 300 MB."""
    kept = cache_directory() / f"{wheel.stem}.json"
    sources: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
    if not types <= sources.keys():
        wanted = {f"package/lib/{_folder(name)}/index.js": name for name in types}
        with zipfile.ZipFile(wheel) as archive:
            (inner,) = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
            with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|gz") as tree:
                for member in tree:
                    if member.name in wanted:
                        text = tree.extractfile(member)
                        assert text is not None
                        sources[wanted[member.name]] = _code(text.read().decode())
        draft = kept.with_suffix(f".{os.getpid()}")  # other workers read and write it at the same time
        draft.write_text(json.dumps(sources))
        draft.rename(kept)
    return sources


def _folder(name: str) -> str:
    data, _, kind = name.rpartition(".")
    plain = kind.removeprefix("aws_").replace("_", "-")
    return f"data-aws-{plain}" if data else plain


def _code(text: str) -> str:
    return text.partition("//# sourceMappingURL")[0]


class _Reader:
    """One file of generated JavaScript."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._classes = {
            found[1]: found[2]
            for found in re.finditer(
                r"^(?:export )?class (\w+) extends [^\n]*\{\n(.*?)^\}", text, re.M | re.S
            )
        }
        self._functions = {
            found[1]: found[2]
            for found in re.finditer(r"^function (\w+)\(struct\) \{\n(.*?)^\}", text, re.M | re.S)
        }

    def whole(self) -> Block:
        """The schema of what the file is about."""
        (main,) = [body for body in self._classes.values() if "static tfResourceType" in body]
        return self._block(main, main[main.index("synthesizeHclAttributes() {") :])

    def _block(self, flags: str, entries: str) -> Block:
        block = Block()
        told = {found[1]: found for found in _FLAGS.finditer(flags)}
        given = {found[1]: found for found in _ENTRY.finditer(entries)}
        single = set(re.findall(r'new \w+OutputReference\(this, "(\w+)"\)', flags))
        for name, found in told.items():
            computed, optional, required = (found[at] == "true" for at in (2, 3, 4))
            entry = given.get(name)
            if entry is None:
                kind = next(
                    (kind for getter, kind in _GETTERS.items() if f"{getter}('{name}')" in found[6]), None
                )
                if kind:
                    block.attributes[name] = Attribute(kind, required, optional, computed)
            elif entry[3] == "true":
                nesting = "single" if entry[4] == "struct" and name == "timeouts" else entry[4]
                nesting = "list" if nesting == "struct" else nesting
                most = 1 if name in single and nesting != "single" else 0
                block.blocks[name] = (nesting, most, self._nested(entry[2]))
            else:
                block.attributes[name] = Attribute(self._type(entry), required, optional, computed)
        return block

    def _nested(self, value: str) -> Block:
        found = re.search(r"(\w+)ToHclTerraform\b", value.replace("cdktf.", "").replace("cdktn.", ""))
        assert found, value
        name = found[1]
        return self._block(
            self._classes[f"{name[0].upper()}{name[1:]}OutputReference"],
            self._functions[f"{name}ToHclTerraform"],
        )

    def _type(self, entry: re.Match[str]) -> Any:
        kind, storage = entry[4], entry[5]
        if kind == "simple":
            return _SIMPLE[storage]
        inner = next((plain for word, plain in _SIMPLE.items() if storage.startswith(word)), None)
        if inner is None:
            nested = self._nested(entry[2])
            inner = ["object", {name: one.type for name, one in nested.attributes.items()}]
        return inner if kind == "struct" else [kind, inner]
