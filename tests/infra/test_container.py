"""The image, the compose file and the systemd unit of the streaming server, as far as no engine is needed.

Run here: hadolint; the image's pip line in a clean environment, its entry point and health check over a
directory, over MinIO and DynamoDB Local, as process 1 of a namespace; systemd-analyze verify and security.
Not run: `docker build`, `docker compose up`, the unit under a running systemd.
"""

import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from chalicelib.adapters.s3_blocks import client_config
from chalicelib.adapters.s3_unsigned import refuses_unsigned
from chalicelib.settings import Settings
from tests.infra.container import HERE, Image
from tests.lambda_host.locking import only_one
from tests.lambda_host.packaging import ROOT
from tests.services.install import binary
from tests.services.run import Service, minio_root

pytestmark = pytest.mark.timeout(300)
READY_S_MAX = 60.0
SETTINGS = {f"CAUSEWAY_{each.name.upper()}": each for each in fields(Settings)}
EXPOSURE_MAX = 20  # tenths; systemd calls less than 20 "OK"


@pytest.fixture(scope="module")
def image() -> Image:
    """The Dockerfile."""
    return Image.read()


@pytest.fixture(scope="module")
def programs(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has on its PATH; installed once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "image"
    with only_one("container"):
        if not (place / "done").exists():
            place.mkdir()
            image.installed(place)
            (place / "done").touch()
    return place / "causeway" / "bin"


def test_hadolint_finds_nothing() -> None:
    """No rule is ignored."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), str(HERE / "Dockerfile")],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_everything_copied_is_there_and_nothing_else_is_sent(image: Image) -> None:
    """Each source exists and is let through by the ignore file, which lets nothing else through."""
    ignored = (HERE / "Dockerfile.dockerignore").read_text().splitlines()
    let = {line[1:] for line in ignored if line.startswith("!")}
    copied = {name for sources, _ in image.copies() for name in sources}

    assert copied == let and ignored[1] == "*"
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_is_not_roots_and_holds_no_secret(image: Image) -> None:
    """A user by number, a pinned base, no variable that is secret; every CAUSEWAY_ variable is a setting."""
    environment = image.environment()
    ours = {name for name in environment if name.startswith("CAUSEWAY_")}

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.all("USER")[-1])
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+( AS \w+)?", told) for told in image.all("FROM"))
    assert ours <= SETTINGS.keys()
    assert not any(SETTINGS[name].metadata["secret"] for name in ours)
    assert not any(name.startswith("AWS_") for name in environment) and image.all("ARG") == []


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _no_memory_to_run_from() -> None:
    """As the unit's MemoryDenyWriteExecute: the kernel's own form of it, which systemd uses too."""
    ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN; an old kernel ignores it


@contextmanager
def _running(
    image: Image, programs: Path, directory: Path, before: list[str], **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """The entry point as the image starts it, until its own health check is content."""
    environment = image.environment() | {f"CAUSEWAY_{name.upper()}": each for name, each in settings.items()}
    environment |= {
        "CAUSEWAY_HOST": "127.0.0.1",
        "CAUSEWAY_PORT": str(_free_port()),
        "CAUSEWAY_DATA": str(directory / "data"),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    environment |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    (directory / "data").mkdir(mode=0o700)
    command = [*before, *image.command("ENTRYPOINT"), *image.command("CMD")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stderr=log,
            stdout=log,
            preexec_fn=_no_memory_to_run_from,
        )
    try:
        deadline = time.monotonic() + READY_S_MAX
        while _health(image, programs, environment):
            assert process.poll() is None and time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.2)
        yield process, environment
    finally:
        process.kill()
        process.wait()


def _health(image: Image, programs: Path, environment: dict[str, str]) -> int:
    """What the image's HEALTHCHECK answers."""
    python, script = image.command("HEALTHCHECK")
    assert script == "/opt/causeway/healthy.py" and python == "python"
    return subprocess.run(
        [str(programs / python), str(HERE / "healthy.py")], env=environment, capture_output=True
    ).returncode


def test_the_entry_point_serves_and_ends_when_told(image: Image, programs: Path, tmp_path: Path) -> None:
    """A site over a directory; SIGTERM ends it in order and the health check says so."""
    with _running(image, programs, tmp_path, [], site="west") as (process, environment):
        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
        assert _health(image, programs, environment) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace needs root")
def test_it_takes_signals_as_process_1(image: Image, programs: Path, tmp_path: Path) -> None:
    """Nothing stands in front of it in the image: as process 1 it still ends on SIGTERM."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    tried = subprocess.run([*unshare, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"unshare: {tried.stderr.strip()}")
    with _running(image, programs, tmp_path, unshare, site="west") as (process, _):
        (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        status = Path(f"/proc/{first}/status").read_text()
        assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.M)
        os.kill(int(first), signal.SIGTERM)

        assert process.wait(30) == 0


@pytest.fixture
def minio_of_compose(tmp_path: Path) -> Iterator[Service]:
    """MinIO after the compose file's `minio-user` has run, twice, with the real mc."""
    told = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]["minio-user"]
    with minio_root() as root:
        script = told["command"][0].replace("$$", "$").replace("http://minio:9000", root.endpoint)
        assert told["volumes"] == ["./minio-policy.json:/minio-policy.json:ro"]
        script = script.replace(" /minio-policy.json", f" {HERE}/minio-policy.json")
        user = Service(root.endpoint, f"u{secrets.token_hex(8)}", secrets.token_hex(16))
        variables = {
            "PATH": f"{binary('mc').parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "MINIO_ROOT_USER": root.access_key,
            "MINIO_ROOT_PASSWORD": root.secret_key,
            "BLOCKS_ACCESS_KEY": user.access_key,
            "BLOCKS_SECRET_KEY": user.secret_key,
        }
        for _ in range(2):
            subprocess.run(["/bin/sh", "-ec", script], env=variables, check=True, cwd=tmp_path)
        yield user


def test_the_compose_file_makes_a_site_over_a_bucket_and_tables(
    image: Image,
    programs: Path,
    tmp_path: Path,
    minio_of_compose: Service,
    dynamodb: Service,
    monkeypatch: Any,
) -> None:
    """Its commands, with its settings: `minio-user`, `stores create`, `serve`; again finds all there."""
    minio = minio_of_compose
    services = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]
    told = services["causeway"]["environment"]
    name, key = f"compose-{secrets.token_hex(4)}", tmp_path / "master.key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o400)
    settings = {k.removeprefix("CAUSEWAY_").lower(): v for k, v in told.items() if k.startswith("CAUSEWAY_")}
    settings |= {
        "dynamodb_prefix": name,
        "blocks_endpoint": minio.endpoint,
        "dynamodb_endpoint": dynamodb.endpoint,
        "master_key_file": str(key),
    }
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)
    environment = {f"CAUSEWAY_{one.upper()}": value for one, value in settings.items()}
    for _ in range(2):
        subprocess.run(
            [str(programs / "causeway"), *services["stores"]["command"]],
            env=os.environ | environment,
            check=True,
            cwd=tmp_path,
        )

    with _running(image, programs, tmp_path, [], **settings) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    client = boto3.client("s3", **minio.boto3_arguments(), config=client_config())
    assert refuses_unsigned(client, settings["blocks_bucket"], "blocks/x")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.create_bucket(Bucket=name)


def test_the_compose_file_is_closed() -> None:
    """Read-only, no privileges, loopback only, pinned images, no secret in it, only settings that exist."""
    told = yaml.safe_load((HERE / "compose.yaml").read_text())
    for name in ("causeway", "stores"):
        service = told["services"][name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert (HERE / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        ours = {each for each in service["environment"] if each.startswith("CAUSEWAY_")}
        assert ours <= SETTINGS.keys()
        for variable, value in service["environment"].items():
            secret = variable.startswith("AWS_") or SETTINGS[variable].metadata["secret"]
            assert not secret or value.startswith("${")
    assert told["services"]["causeway"]["ports"] == ["127.0.0.1:9000:9000"]
    for name in ("minio", "minio-user", "dynamodb"):
        image = told["services"][name]["image"]
        assert ":" in image and not image.endswith(":latest")
        assert "ports" not in told["services"][name]


@pytest.fixture
def unit(programs: Path, tmp_path: Path) -> Path:
    """The unit with its drop-in, where the program of the image is."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "causeway.service"
    text = (HERE / "systemd" / "causeway.service").read_text()
    assert "ExecStart=/opt/causeway/bin/causeway serve" in text
    path.write_text(text.replace("/opt/causeway/bin", str(programs)))
    (tmp_path / "causeway.service.d").mkdir()
    shutil.copy(HERE / "systemd" / "master-key.conf", tmp_path / "causeway.service.d")
    return path


def test_systemd_understands_the_unit(unit: Path) -> None:
    """systemd-analyze verify has nothing to say."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_may_do_little(unit: Path) -> None:
    """Its exposure is what systemd calls OK."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", str(unit)],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_the_unit_sets_only_settings() -> None:
    """Each CAUSEWAY_ variable of the unit and its drop-in is one, and none is a secret."""
    text = "".join(path.read_text() for path in (HERE / "systemd").iterdir())
    found = set(re.findall(r"\b(CAUSEWAY_\w+)=", text))

    assert found and found <= SETTINGS.keys()
    assert not any(SETTINGS[name].metadata["secret"] for name in found)
