"""The shape of the code: small files, short functions, a word on each module, nothing foreign."""

import ast
import re
import statistics
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FILE_LINES_MAX = 400
FILE_LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 70

# A name is added here only when a Lambda function imports it: cold start is a feature.
FUNCTIONS_NEED = {
    "aws-lambda-powertools",
    "awscrt",
    "blake3",
    "boto3",
    "cryptography",
    "defusedxml",
    "urllib3",
    "xxhash",
}

# Paths of one machine, and hosts or settings of one machine's package mirror.
FOREIGN = {
    "absolute path": re.compile(r"(?<![\w.~$})\]>*-])/(?:root|home|Users|work)/\w"),
    "registry": re.compile(
        r"index-url|find-links|\bregistry\.[a-z]+\.[a-z]|pythonhosted|proxy\.golang\."
        r"|\brepo1?\.maven|artifactory|\bGOPROXY\b",
        re.IGNORECASE,
    ),
}


def test_files_are_short():
    """No Python file is longer than 400 lines, and half of chalicelib's are at most 150."""
    lengths = {path: len(_text(path).splitlines()) for path in _python_files()}
    ours = [n for path, n in lengths.items() if path.startswith("chalicelib/")]

    assert [] == [f"{path}: {n}" for path, n in lengths.items() if n > FILE_LINES_MAX]
    assert statistics.median(ours or [0]) <= FILE_LINES_MEDIAN_MAX


def test_functions_are_short():
    """No function is longer than 70 lines."""
    too_long = [
        f"{path}:{node.lineno} {node.name}: {_length(node)}"
        for path in _python_files()
        for node in ast.walk(ast.parse(_text(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > FUNCTION_LINES_MAX
    ]

    assert [] == too_long


def test_every_module_says_what_it_is():
    """Every module and package of chalicelib begins with a docstring."""
    silent = [
        path
        for path in _python_files()
        if path.startswith("chalicelib/") and not ast.get_docstring(ast.parse(_text(path)))
    ]

    assert [] == silent


def test_no_binaries():
    """Every file in the repository is text that a reviewer can read."""
    assert [] == [path for path in _files() if not _is_text(path)]


@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_of_one_machine(what: str):
    """No file names a path or a package mirror that exists on one machine only."""
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path in _files()
        if path != "tests/test_tidy.py" and _is_text(path)
        for number, line in enumerate(_text(path).splitlines(), 1)
        if FOREIGN[what].search(line)
    ]

    assert [] == found


def test_functions_carry_only_what_they_need():
    """requirements.txt, which Chalice packages, holds the listed names and no others."""
    lines = (line.split("#")[0].strip() for line in _text("requirements.txt").splitlines())
    names = {re.split(r"[\[<>=~!; ]", line)[0].lower() for line in lines if line}

    assert set() == names - FUNCTIONS_NEED


@cache
def _files() -> tuple[str, ...]:
    """What is committed or would be: tracked and new files, without what .gitignore names."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    return tuple(sorted({p for p in listed.stdout.split("\0") if p and (ROOT / p).is_file()}))


def _python_files() -> list[str]:
    return [path for path in _files() if path.endswith(".py")]


@cache
def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _is_text(path: str) -> bool:
    try:
        return "\0" not in _text(path)
    except UnicodeDecodeError:
        return False


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1
