"""`causeway demo`, what `make run` starts: the whole of it, on fewer files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_demo_shows_two_sites_at_work_and_every_byte_is_right(tmp_path: Path) -> None:
    """Store, proxy_get, copy, cut, heal, fullsync, read everything from both sites."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
    command = [sys.executable, "-m", "chalicelib.cli.main", "demo", "--once", "--json"]
    command += ["--big", "100MiB", "--files", "200", "--data", str(tmp_path)]
    ran = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=240)

    logs = [log.read_text()[-2000:] for log in tmp_path.glob("*.log")]
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{logs}"
    found = json.loads(ran.stdout)
    assert found["right"] and found["objects"] >= 200
    assert [check["what"] for check in found["checks"] if not check["right"]] == []
    assert "Traceback" not in ran.stderr
