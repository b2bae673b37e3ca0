"""Bytecode in the zips: Lambda can keep none beside the code, so every cold start would compile all of it.

    add_bytecode(Path("deployment.zip"))     each module's __pycache__ entry, once

Promise  the same bytes whoever packages, whenever, as long as Python's minor version is the same; another one
         finds nothing it knows there and compiles, as without · never out of date: a zip is not edited
Errors   Failure(NO): a module that is no Python
Source   PEP 552, unchecked hash-based pycs; a cold start took 1.5 times as long without (docs/benchmarks.md).
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from pathlib import Path

from chalicelib.cli.deploy_process import finished

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o100644 << 16


def add_bytecode(path: Path) -> None:
    """Compile what a zip holds, into the zip."""
    with zipfile.ZipFile(path, "a") as archive, tempfile.TemporaryDirectory() as temporary:
        names = set(archive.namelist())
        for name in sorted(names):
            if name.endswith(".py"):
                archive.extract(name, temporary)
        _compile(temporary)
        for made in sorted(Path(temporary).rglob("*.pyc")):
            name = made.relative_to(temporary).as_posix()
            if name not in names:
                entry = zipfile.ZipInfo(name, _LONG_AGO)
                entry.external_attr = _READABLE
                archive.writestr(entry, made.read_bytes(), zipfile.ZIP_DEFLATED)


def _compile(directory: str) -> None:
    """In a process of its own: constants that are sets lie in the order of its hash seed."""
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    finished(
        "what was packaged does not compile",
        [*command, "-s", directory, directory],
        {"PYTHONHASHSEED": "0", "PATH": os.defpath},
        Path(directory),
    )
