"""What infra/container/Dockerfile says, read; its steps carried out without an engine.

    image = Image.read()           instructions, stage by stage
    image.installed(directory)     the build stage's pip line in a new environment, from what is copied

No container engine runs here: what an engine does by itself (layers, users, mounts) is not tested by this.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lambda_host.packaging import ROOT

HERE = ROOT / "infra" / "container"
PREFIX = "/opt/causeway"


@dataclass(frozen=True)
class Image:
    """Instructions in their order: (keyword, rest of the line)."""

    instructions: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls) -> "Image":
        """The Dockerfile of the repository."""
        text = re.sub(r"^\s*#.*\n", "", (HERE / "Dockerfile").read_text(), flags=re.M)
        lines = re.sub(r"\\\n\s*", " ", text).splitlines()
        pairs = (line.split(None, 1) for line in lines if line.strip())
        return cls(tuple((keyword, rest.strip()) for keyword, rest in pairs))

    def all(self, keyword: str) -> list[str]:
        """Every instruction of a kind."""
        return [rest for word, rest in self.instructions if word == keyword]

    def command(self, keyword: str) -> list[str]:
        """The last ENTRYPOINT, CMD or HEALTHCHECK command, in its exec form."""
        told = self.all(keyword)[-1]
        command: list[str] = json.loads(told[told.index("[") :])
        return command

    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        pairs = (part.partition("=") for told in self.all("ENV") for part in shlex.split(told))
        return {name: value for name, _, value in pairs}

    def copies(self) -> list[tuple[list[str], str]]:
        """(sources, destination) of every COPY out of the checkout."""
        parts = [shlex.split(told) for told in self.all("COPY")]
        return [(part[:-1], part[-1]) for part in parts if not part[0].startswith("--from")]

    def installed(self, directory: Path) -> Path:
        """The programs of a virtual environment made as the image's is."""
        source, home = directory / "src", directory / "causeway"
        source.mkdir()
        for sources, destination in self.copies():
            for name in sources:
                if destination.startswith("/"):
                    continue
                if (ROOT / name).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
                    shutil.copytree(ROOT / name, source / destination, ignore=ignored)
                else:
                    shutil.copy(ROOT / name, source / name)
        for told in self.all("RUN"):
            words = shlex.split(told)
            if words[:3] == ["python", "-m", "venv"]:
                words[0] = sys.executable
            if PREFIX not in told or words[0] not in (sys.executable, f"{PREFIX}/bin/python"):
                continue
            words = [word.replace(PREFIX, str(home)) for word in words]
            subprocess.run([word for word in words if word != "--no-cache-dir"], cwd=source, check=True)
        return home / "bin"
