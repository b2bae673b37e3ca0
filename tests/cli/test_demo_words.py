"""What `make run` says while it works: what is true by then, and what can be pasted."""

import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

from chalicelib.cli import demo
from chalicelib.cli.demo_screen import Figures, told

ROOT = Path(__file__).parents[2]
SITE = SimpleNamespace(endpoint="http://127.0.0.1:9", data=Path("/tmp/a demo/west"))
SHOWN = SimpleNamespace(
    user={"access_key": "CWX", "secret_key": "x"}, west=SITE, east=SITE, bucket="demonstration"
)


def test_nothing_is_counted_before_it_happened():
    """A phase that stores nothing has no objects."""
    assert "" == told(Figures(phase="make one large file", lag_ms=3))
    assert "2 objects, 10 B; 3 records streamed" == told(Figures(objects=2, bytes=10, records=3))
    assert "0 records, 1 block behind, lag 3 ms" == told(Figures(blocks_behind=1, lag_ms=3))


def test_lines_to_paste_name_programs_that_are_there(monkeypatch, tmp_path):
    """`causeway` is on nobody's PATH: make has put it into .venv of the checkout."""
    monkeypatch.setattr(demo.sys, "executable", str(ROOT / ".venv" / "bin" / "python"))
    monkeypatch.chdir(ROOT)
    lines = demo._lines(SHOWN, once=False)
    assert [".venv/bin/causeway", "status", "--data", "/tmp/a demo/west"] == shlex.split(lines["causeway"])
    program, _, code = shlex.split(lines["boto3"])
    assert ".venv/bin/python" == program
    compile(code, "pasted", "exec")
    monkeypatch.chdir(tmp_path)
    assert str(ROOT / ".venv/bin/causeway") == shlex.split(demo._lines(SHOWN, once=False)["causeway"])[0]


def test_no_lines_for_sites_that_are_gone():
    """With --once they end with the command."""
    assert {} == demo._lines(SHOWN, once=True)


def test_no_blanks_at_the_ends_of_lines():
    """Of what goes into a file."""
    rows = [("ok", "a long check", "found"), ("WRONG", "short", "much that was found")]
    assert ["ok     a long check  found", "WRONG  short         much that was found"] == demo._told(
        False, [("phase", 1.0)], rows
    )


def test_make_says_what_takes_so_long():
    """pip is quiet."""
    words = ["make", "--dry-run", "--what-if", "pyproject.toml", "run"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.index("installing Causeway") < said.index("pip install")
