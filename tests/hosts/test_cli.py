"""The `causeway` command against real served sites: what it shows, what it refuses, how it exits."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
import typer

from chalicelib.cli import fullsync
from chalicelib.cli.main import app
from chalicelib.settings import Settings
from tests.command import NO, OK, REFUSED, UNREACHABLE, USAGE, closed_port, run
from tests.site_process import SiteProcess, directory_site


def leaves(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*words, name))
        else:
            yield (*words, name)


COMMANDS = sorted(leaves(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    with directory_site(tmp_path_factory.mktemp("west"), "west", primary="west") as site:
        yield site


@pytest.fixture(scope="module")
def east(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    with directory_site(tmp_path_factory.mktemp("east"), "east", primary="west") as site:
        yield site


# ------------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_examples_and_json(words: tuple[str, ...]) -> None:
    """Every command says what it does, shows examples of itself, and answers as JSON."""
    shown = run(*words, "--help", COLUMNS="200", TERM="dumb")

    assert shown.exit == OK
    assert "--json" in shown.out
    examples = shown.out.partition("Examples")[2]
    assert f"causeway {' '.join(words)}" in examples


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_set_in_paragraphs(words: tuple[str, ...]) -> None:
    """Lines of the source do not break what a terminal wraps, and a flag takes no value."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.get_command(None, word)

    assert all("\n" not in part for part in command.help.split("\n\n"))
    shown = run(*words, "--help", COLUMNS="80", TERM="dumb").out
    assert "<bool>" not in shown + run(*words[:-1], "--help", COLUMNS="80", TERM="dumb").out


def test_the_commands_of_the_design() -> None:
    """Riak CS's words are all there."""
    lines = {" ".join(words) for words in COMMANDS}
    wanted = {"serve", "demo", "connect", "connections", "disconnect", "gc", "status"}
    wanted |= {f"realtime {verb}" for verb in ("enable", "start", "stop", "disable")}
    wanted |= {f"fullsync {verb}" for verb in ("start", "status", "stop", "interval")}
    wanted |= {f"user {verb}" for verb in ("create", "list", "update", "disable", "enable", "new-secret")}
    wanted |= {"proxy-get enable", "proxy-get disable"}
    assert wanted <= lines


def test_serve_has_an_option_for_every_setting_but_secrets() -> None:
    """A setting that serve cannot be told is forgotten; a secret on a command line is read by others."""
    shown = run("serve", "--help", COLUMNS="200", TERM="dumb").out
    options = set(re.findall(r"--([a-z-]+)", shown))
    for each in fields(Settings):
        assert (each.name.replace("_", "-") in options) != each.metadata["secret"], each.name


# --------------------------------------------------------------------------- finding the site


def test_no_site_named(tmp_path: Path) -> None:
    """Without a site the command says how to name one."""
    nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    ran = run("status", **nobody)
    assert (ran.exit, ran.out) == (USAGE, "")
    assert "--data" in ran.err and "--endpoint-url" in ran.err and len(ran.err.splitlines()) == 1

    ran = run("status", "--data", tmp_path)
    assert ran.exit == USAGE and "causeway serve" in ran.err


def test_no_credentials() -> None:
    """An endpoint without keys is not asked: there are no default ones."""
    nobody = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"))
    ran = run("status", "--endpoint-url", "http://127.0.0.1:9", **nobody)
    assert ran.exit == USAGE and "AWS_ACCESS_KEY_ID" in ran.err


def test_keys_from_the_environment_and_from_a_profile(west: SiteProcess, tmp_path: Path) -> None:
    """The AWS credentials chain, as every AWS tool has it."""
    access_key, secret_key = west.keys
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    assert run("user", "list", AWS_ENDPOINT_URL=west.endpoint, **keys).exit == OK

    config = tmp_path / "credentials"
    config.write_text(
        f"[ops]\naws_access_key_id={access_key}\naws_secret_access_key={secret_key}\n"
        f"endpoint_url={west.endpoint}\n"
    )
    told = {"AWS_SHARED_CREDENTIALS_FILE": str(config), "AWS_CONFIG_FILE": os.devnull}
    told |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    assert run("user", "list", "--profile", "ops", **told).exit == OK
    ran = run("user", "list", "--profile", "nobody", **told)
    assert ran.exit == USAGE and "nobody" in ran.err and "Traceback" not in ran.err


def test_unreachable() -> None:
    """A site that does not answer is exit 3, in one line or in JSON."""
    endpoint = f"http://127.0.0.1:{closed_port()}"
    ran = run("status", "--endpoint-url", endpoint)
    assert ran.exit == UNREACHABLE and endpoint in ran.err and len(ran.err.splitlines()) == 1

    ran = run("status", "--endpoint-url", endpoint, "--json")
    assert ran.exit == UNREACHABLE and ran.json["error"] == "Unreachable" and ran.err == ""


def test_plain_http_only_to_loopback() -> None:
    """Answers carry secrets: they cross no network in clear."""
    ran = run("user", "list", "--endpoint-url", "http://192.0.2.1:9000")
    assert ran.exit == USAGE and "https" in ran.err


def test_refused(west: SiteProcess) -> None:
    """Wrong keys and users who are no administrators are exit 4."""
    access_key, _ = west.keys
    told = {"AWS_ENDPOINT_URL": west.endpoint, "AWS_ACCESS_KEY_ID": access_key}
    assert run("status", AWS_SECRET_ACCESS_KEY="wrong", **told).exit == REFUSED
    user_key, user_secret = west.user()
    told = {"AWS_ACCESS_KEY_ID": user_key, "AWS_SECRET_ACCESS_KEY": user_secret}
    ran = run("status", "--json", AWS_ENDPOINT_URL=west.endpoint, **told)
    assert ran.exit == REFUSED and ran.json["error"] == "AccessDenied"


# ------------------------------------------------------------------------------------------ user


def test_a_users_life(west: SiteProcess) -> None:
    """Created, listed, changed, disabled, enabled, given a new secret; the secret is shown once."""
    at = ("--data", west.data, "--json")
    email = f"ada-{secrets.token_hex(3)}@example.com"
    ran = run("user", "create", "Ada", "--email", email, *at)
    assert ran.exit == OK, ran.out
    made = ran.json
    key, secret = made["access_key"], made["secret_key"]
    west.boto3((key, secret)).list_buckets()

    listed = run("user", "list", *at)
    assert secret not in listed.out
    assert {u["access_key"]: u["email"] for u in listed.json["users"]}[key] == email
    assert key in run("user", "list", "--data", west.data).out

    assert run("user", "update", key, *at).exit == USAGE
    assert run("user", "update", key, "--name", "Ada L.", *at).json["name"] == "Ada L."
    assert run("user", "disable", key, *at).json["enabled"] is False
    with pytest.raises(botocore.exceptions.ClientError):
        west.boto3((key, secret)).list_buckets()
    assert run("user", "enable", key, *at).json["enabled"] is True

    again = run("user", "new-secret", key, *at).json["secret_key"]
    assert again != secret
    west.boto3((key, again)).list_buckets()
    with pytest.raises(botocore.exceptions.ClientError):
        west.boto3((key, secret)).list_buckets()


def test_create_prints_lines_to_paste(west: SiteProcess) -> None:
    """People get what a shell needs."""
    shown = run("user", "create", "Grace", "--data", west.data)
    assert re.search(r"^export AWS_ACCESS_KEY_ID=CW\w+$", shown.out, re.MULTILINE)
    assert re.search(r"^export AWS_SECRET_ACCESS_KEY=\S{40}$", shown.out, re.MULTILINE)
    assert "not shown again" in shown.err


def test_no_such_user(west: SiteProcess) -> None:
    """The site's own words, exit 4."""
    assert run("user", "disable", "CWNOBODY", "--data", west.data).exit == REFUSED


# ----------------------------------------------------------------------------------------- links


def test_link_two_sites(west: SiteProcess, east: SiteProcess) -> None:
    """connect, realtime, proxy-get, fullsync, status, disconnect, as an operator types them."""
    at = ("--data", west.data)
    ran = run("connect", *at, "--sink-data", east.data)
    assert ran.exit == OK and "works" in ran.out and "causeway realtime enable east" in ran.err
    links = run("connections", *at, "--json").json["links"]
    assert [(li["site"], li["sink"], li["source"]) for li in links] == [("east", True, False)]
    assert run("status", *at).exit == NO  # realtime is not enabled: not caught up

    for verb in ("enable", "start"):
        assert run("realtime", verb, "east", *at, "--json").json == {"link": "east", "realtime": verb}
    assert run("proxy-get", "enable", "east", *at).exit == OK
    assert run("status", *at, "--wait", "30").exit == OK

    ran = run("fullsync", "start", "east", *at, "--wait", "--json")
    assert ran.exit == OK and ran.json["state"] == "complete"
    assert run("fullsync", "status", "east", *at).exit == OK
    assert run("fullsync", "interval", "east", "1h", *at, "--json").json["interval_ms"] == 3_600_000
    assert run("fullsync", "interval", "east", "sometimes", *at).exit == USAGE
    assert run("fullsync", "start", "east", *at, "--dry-run", "--wait").exit == OK

    found = run("status", *at, "--json")
    assert found.exit == OK and found.json["settled"] is True
    table = run("status", *at).out
    assert "east" in table and "caught up" in table
    assert "source" in run("status", "--data", east.data).out

    _pause_and_stop(at)
    assert run("disconnect", "east", *at, "--json").json == {"disconnected": "east"}
    assert run("realtime", "start", "east", *at).exit == REFUSED
    assert run("disconnect", "west", "--data", east.data).exit == OK


def _pause_and_stop(at: tuple[object, ...]) -> None:
    assert run("realtime", "pause-blocks", "east", *at).exit == OK
    assert "blocks paused" in run("status", *at).out
    assert run("realtime", "resume-blocks", "east", *at).exit == OK
    assert run("realtime", "stop", "east", *at).exit == OK
    assert run("realtime", "disable", "east", *at).exit == OK
    assert run("fullsync", "stop", "east", *at).exit == OK
    assert run("proxy-get", "disable", "east", *at).exit == OK


def test_a_link_that_does_not_work_is_not_kept(west: SiteProcess, east: SiteProcess) -> None:
    """The sink forgets what the source could not prove."""
    access_key, secret_key = east.keys
    keys = ("--sink", east.endpoint, "--sink-access-key", access_key)
    ran = run("connect", "--data", west.data, *keys)
    assert ran.exit == USAGE and "CAUSEWAY_SINK_SECRET_KEY" in ran.err

    ran = run("connect", "--data", west.data, *keys, CAUSEWAY_SINK_SECRET_KEY="wrong")
    assert ran.exit == REFUSED
    unreachable = ("--sink", f"http://127.0.0.1:{closed_port()}", "--sink-access-key", access_key)
    ran = run("connect", "--data", west.data, *unreachable, CAUSEWAY_SINK_SECRET_KEY=secret_key)
    assert ran.exit == UNREACHABLE and secret_key not in ran.out + ran.err

    ran = run("connect", "--data", west.data, "--sink-data", west.data)
    assert ran.exit == REFUSED and "itself" in ran.err
    for site in (west, east):
        assert run("connections", "--data", site.data, "--json").json == {"links": []}


def test_another_primary_is_refused(west: SiteProcess, tmp_path: Path) -> None:
    """The proof fails at the source, and the sink is told to forget."""
    with directory_site(tmp_path, "north") as north:
        ran = run("connect", "--data", west.data, "--sink-data", north.data)
        assert ran.exit == REFUSED and "--primary" in ran.err and "nothing was changed" in ran.err
        assert run("connections", "--data", north.data, "--json").json == {"links": []}


def test_a_bucket_stays_home(west: SiteProcess) -> None:
    """Which sites may hold a bucket is said and listed."""
    name = f"home-{secrets.token_hex(4)}"
    west.boto3().create_bucket(Bucket=name)
    at = ("--data", west.data)
    assert run("bucket", "sites", name, "west", *at).exit == OK
    listed = run("bucket", "list", *at, "--json").json["buckets"]
    assert {b["name"]: b["sites"] for b in listed}[name] == ["west"]
    assert run("bucket", "sites", name, "everywhere", *at).exit == OK
    assert re.search(rf"{name} .*everywhere", run("bucket", "list", *at).out)


def test_gc(west: SiteProcess) -> None:
    """A run now, and its report."""
    assert run("gc", "--data", west.data, "--json").json["problems"] == []
    assert "collected" in run("gc", "--data", west.data).out


# ----------------------------------------------------------------------------------------- serve


def causeway(*arguments: object) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
    told = [sys.executable, "-m", "chalicelib.cli.main", *(str(one) for one in arguments)]
    return subprocess.Popen(told, env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_serve_with_wrong_settings() -> None:
    """All that is wrong, at once."""
    ran = run("serve", "--port", "many", "--backend", "tape")
    assert ran.exit == USAGE
    assert "--port" in ran.err and "--backend" in ran.err and "CAUSEWAY_SITE" in ran.err


def test_serve_until_told_to_stop(tmp_path: Path) -> None:
    """The first start leaves the administrator's keys; a second server of the directory is refused."""
    data, port = tmp_path / "data", closed_port()
    flags = ("serve", "--site", "solo", "--data", data)
    first = causeway(*flags, "--port", port)
    try:
        assert first.stderr is not None
        assert json.loads(first.stderr.readline())["event"] == "ready"
        assert (data / "admin.json").stat().st_mode & 0o077 == 0
        assert run("status", "--data", data, "--json").json["site"] == "solo"

        taken = causeway("serve", "--site", "other", "--data", tmp_path / "other", "--port", port)
        _, said = taken.communicate(timeout=30)
        assert taken.returncode == NO and str(port) in said and "Traceback" not in said
        owned = causeway(*flags, "--port", closed_port())
        _, said = owned.communicate(timeout=30)
        assert owned.returncode == NO and "Traceback" not in said
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=30)
    assert first.returncode == OK


# ------------------------------------------------------------------------- progress of a fullsync


@pytest.mark.parametrize(
    ("phase", "stack", "compared", "expected"),
    [
        ("accounts", [], 0, 0.0),
        ("buckets", [], 1, 0.25),
        ("tree", [""], 2, 0.25),
        ("tree", ["8", "c"], 2, 0.375),
        ("tree", ["=c0/ffff"], 2, 0.4375),
        ("tree", [], 2, 0.5),
        ("blocks", [], 4, 1.0),
    ],
)
def test_progress_follows_the_cursor(phase: str, stack: list[str], compared: int, expected: float) -> None:
    """Buckets that are done, and how far along the hashes of the present one."""
    run_now = {
        "state": "running",
        "cursor": {"phase": phase, "bucket": "b", "stack": stack},
        "tally": {"buckets": 0 if phase == "accounts" else 4, "compared": compared},
    }
    assert fullsync.progress(run_now) == expected
