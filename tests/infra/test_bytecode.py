"""Bytecode in what is deployed: of every module, the same whoever packages, used by the interpreter."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chalicelib.cli.deploy_bytecode import add_bytecode
from chalicelib.cli.failure import Failure
from tests.lambda_host.packaging import CODE_ZIP, LAYER_ZIP, Package

MODULE = "NAMES = {'a', 'b', 'c'}\n\n\ndef known(name):\n    return name in {'x', 'y', 'z'}\n"


def made(path: Path, **modules: str) -> Path:
    """A zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in modules.items():
            archive.writestr(f"{name}.py", text)
    return path


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Nothing of the time, the place or the process is in them; a second time adds nothing."""
    one, other = (made(tmp_path / f"{n}.zip", module=MODULE) for n in (1, 2))
    before = one.read_bytes()
    add_bytecode(one)
    add_bytecode(other)
    add_bytecode(other)

    with zipfile.ZipFile(one) as a, zipfile.ZipFile(other) as b:
        assert ["module.py", f"__pycache__/module.{sys.implementation.cache_tag}.pyc"] == a.namelist()
        assert [a.read(name) for name in a.namelist()] == [b.read(name) for name in b.namelist()]
    assert before != one.read_bytes()


def test_it_is_what_runs(tmp_path: Path) -> None:
    """Without a look at the source: its time and size say nothing once it is unzipped."""
    archive = made(tmp_path / "code.zip", module="print('from the source')")
    add_bytecode(archive)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "task")
    (tmp_path / "task" / "module.py").write_text("print('compiled anew')")

    ran = subprocess.run(
        [sys.executable, "-c", "import module"], cwd=tmp_path / "task", capture_output=True, text=True
    )

    assert "from the source\n" == ran.stdout


def test_what_is_no_python_is_told(tmp_path: Path) -> None:
    """Before it is deployed."""
    with pytest.raises(Failure, match="module.py"):
        add_bytecode(made(tmp_path / "code.zip", module="def ("))


@pytest.mark.parametrize("name", [CODE_ZIP, LAYER_ZIP])
def test_every_module_of_a_package_has_its_own(package: Package, name: str) -> None:
    """Ours and those of the libraries."""
    with zipfile.ZipFile(package.directory / name) as archive:
        names = set(archive.namelist())
    modules = [Path(each) for each in names if each.endswith(".py")]
    tag = sys.implementation.cache_tag

    assert len(modules) > 50
    assert [] == [m for m in modules if str(m.parent / "__pycache__" / f"{m.stem}.{tag}.pyc") not in names]
