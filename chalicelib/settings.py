"""What this site was told about itself: the only reader of the environment.

    Settings.from_environment(os.environ)          what CAUSEWAY_* variables say
    Settings.read(port=9000, data="…")             the same, with command-line flags above them

Each field is one variable: `leeway` is CAUSEWAY_LEEWAY, `--leeway` on the command line.
Units   durations as `6h`, `30m`, `10s`, `250ms`, `7d`; sizes as `4MiB`, `32KiB` or plain bytes
Errors  SettingsError, listing everything that is unknown, missing or wrong, at once
Source  DESIGN §4. AWS credentials come by the AWS SDK's standard chain and are not our settings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain.filing import BLOCK_BYTES_MAX

PREFIX = "CAUSEWAY_"
NOT_OURS = "CAUSEWAY_TEST_"  # what test runs tell each other
MASTER_KEY_DIGITS = 64  # 32 bytes
TOKEN_CHARS_MIN = 16  # a token of fewer could be guessed
_SITE_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d{1,15})(|KiB|MiB|GiB)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNIT_BYTES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class SettingsError(Exception):
    """The server cannot start as it was told to; `problems` are sentences for the operator."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(["These settings cannot be used:", *(f"  {p}" for p in problems)]))


class Backend(StrEnum):
    """Where a site keeps its tables and blocks."""

    DIRECTORY = "directory"  # SQLite and files
    AWS = "aws"  # DynamoDB and a bucket in S3 or MinIO


def _text(value: str) -> str:
    return value


def _site_id(value: str) -> str:
    if not _SITE_ID.fullmatch(value):
        raise ValueError("use 1 to 32 of a-z, 0-9 and -, not beginning or ending with -")
    return value


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isdecimal() or not low <= int(value) <= high:
            raise ValueError(f"use a whole number from {low} to {high}")
        return int(value)

    return parse


def _in_units(size: int) -> str:
    unit = max((unit for unit, many in _UNIT_BYTES.items() if size % many == 0), key=_UNIT_BYTES.__getitem__)
    return f"{size // _UNIT_BYTES[unit]}{unit}"


def size_in(low: int, high: int) -> Callable[[str], int]:
    """Reads `4MiB` as bytes; ValueError says what a size looks like."""

    def parse(value: str) -> int:
        match = _SIZE.fullmatch(value)
        size = int(match[1]) * _UNIT_BYTES[match[2]] if match else -1
        if not low <= size <= high:
            raise ValueError(
                f"use a size such as {_in_units(low)}, from {_in_units(low)} to {_in_units(high)}"
            )
        return size

    return parse


def duration_ms(value: str) -> int:
    """`6h` in ms; ValueError says what a duration looks like."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("use a duration such as 6h, 30m or 10s")
    return int(match[1]) * _UNIT_MS[match[2]]


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("use true or false")
    return value.lower() in ("true", "1", "yes")


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("use https://host:port")
    return value.rstrip("/")


def _queue(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(parts.path) < 2:
        raise ValueError("use a queue's URL")
    return value


def _token(value: str) -> str:
    plain = value.isascii() and value.isprintable() and " " not in value  # MinIO takes two words for a scheme
    if not TOKEN_CHARS_MIN <= len(value) <= 256 or not plain:
        raise ValueError(f"use {TOKEN_CHARS_MIN} to 256 printable characters without spaces, by chance")
    return value


def _domains(value: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
    if not all(_DOMAIN.fullmatch(name) for name in names):
        raise ValueError("use domain names, separated by commas")
    return names


def _log_level(value: str) -> str:
    if value not in ("debug", "info", "warning", "error"):
        raise ValueError("use debug, info, warning or error")
    return value


def _file(value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _master_key(value: str) -> bytes:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{MASTER_KEY_DIGITS}}}", value):
        raise ValueError(f"use {MASTER_KEY_DIGITS} hex digits")
    return bytes.fromhex(value)


def _setting(parse: Callable[[str], Any], default: Any, *, secret: bool = False) -> Any:
    """A field that is one variable. A secret never shows in a repr, nor its value in an error."""
    return field(default=default, repr=not secret, metadata={"parse": parse, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One process's settings, checked. `None` and "" mean: not set."""

    site: str = _setting(_site_id, "")
    primary: str = _setting(_site_id, "")  # decides unique names; "" until linked: this site
    region: str = _setting(_text, "")  # unset: any region a client signs for
    read_only: bool = _setting(_flag, False)

    backend: Backend = _setting(Backend, Backend.DIRECTORY)
    data: Path | None = _setting(Path, None)
    blocks_bucket: str = _setting(_text, "")
    blocks_prefix: str = _setting(_text, "")
    blocks_region: str = _setting(_text, "us-east-1")
    blocks_endpoint: str = _setting(_url, "")  # "" is AWS itself
    blocks_access_key: str = _setting(_text, "")  # of a MinIO that knows no role of AWS; "": the SDK's chain
    blocks_secret_key: str = _setting(_text, "", secret=True)
    blocks_public_endpoint: str = _setting(_url, "")  # as clients of presigned URLs see it; "": the same
    dynamodb_prefix: str = _setting(_text, "causeway")  # of causeway-keys, …
    dynamodb_endpoint: str = _setting(_url, "")

    host: str = _setting(_text, "127.0.0.1")
    port: int = _setting(_whole(0, 65535), 9000)  # 0: any free one, told in the log
    public_url: str = _setting(_url, "")  # where other sites and clients reach us
    base_domains: tuple[str, ...] = _setting(_domains, ())  # of https://bucket.domain/key
    tls_cert: Path | None = _setting(_file, None)
    tls_key: Path | None = _setting(_file, None)
    ca_file: Path | None = _setting(_file, None)  # who may vouch for linked sites; unset: the system's
    master_key: bytes | None = _setting(_master_key, None, secret=True)
    master_key_file: Path | None = _setting(Path, None)
    kms_key: str = _setting(_text, "")  # of AWS KMS: id, ARN or alias/…; it keeps the master key then
    kms_endpoint: str = _setting(_url, "")  # "" is AWS itself, here and below

    documents_queue: str = _setting(_queue, "")  # SQS, by URL: bucket events
    fullsync_queue: str = _setting(_queue, "")  # who drives which run next
    documents_dead_queue: str = _setting(_queue, "")  # messages that were given up
    fullsync_dead_queue: str = _setting(_queue, "")
    sqs_endpoint: str = _setting(_url, "")
    queue_tries: int = _setting(_whole(1, 1000), 5)  # as the queues' maxReceiveCount
    events_token: str = _setting(_token, "", secret=True)  # MinIO's webhook shows it; unset: no webhook

    workers: int = _setting(_whole(1, 64), 2)
    threads: int = _setting(_whole(8, 4096), 256)  # connections a worker serves; one thread each
    buffer_bytes: int = _setting(size_in(16 << 20, 64 << 30), 32 << 20)  # of blocks in flight, per process
    block_size: int = _setting(
        size_in(64 << 10, BLOCK_BYTES_MAX), 4 << 20
    )  # a default block fits a Lambda answer
    inline_max: int = _setting(size_in(0, 32 << 10), 0)  # 0: 32 KiB, or 8 KiB on DynamoDB
    leeway: int = _setting(duration_ms, 24 * 3_600_000)
    gc_hold: int = _setting(duration_ms, 7 * 86_400_000)
    fullsync_interval: int = _setting(duration_ms, 6 * 3_600_000)

    log_level: str = _setting(_log_level, "info")
    log_file: Path | None = _setting(Path, None)  # unset: standard error

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that CAUSEWAY_* variables make."""
        return cls._from(environ, {})

    @classmethod
    def read(cls, **flags: object) -> Settings:
        """The process's own environment, with command-line flags above it; a flag of None is not given."""
        return cls._from(os.environ, flags)

    @classmethod
    def _from(cls, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
        known = {each.name: each for each in fields(cls)}
        given = {name: str(value) for name, value in flags.items() if value is not None}
        problems = [f"{_flag_name(name)}: no such setting" for name in sorted(given.keys() - known.keys())]
        sources = {name: _flag_name(name) for name in given}
        for variable, value in sorted(environ.items()):
            name = variable.removeprefix(PREFIX).lower()
            if not variable.startswith(PREFIX) or variable.startswith(NOT_OURS):
                continue
            if name not in known or variable != variable.upper():
                problems.append(f"{variable}: no such setting")
            elif value and name not in given:
                given[name], sources[name] = value, variable
        values: dict[str, Any] = {}
        for name in given.keys() & known.keys():
            try:
                values[name] = known[name].metadata["parse"](given[name])
            except ValueError as problem:
                shown = "…" if known[name].metadata["secret"] else repr(given[name])
                problems.append(f"{sources[name]}={shown}: {problem}")
        settings = cls(**values)
        problems += _missing(settings, sources)
        if problems:
            raise SettingsError(problems)
        return settings

    @property
    def url(self) -> str:
        """Where others reach us."""
        scheme = "https" if self.tls_cert else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"{scheme}://{host}:{self.port}"


def lambda_handler() -> str:
    """What AWS Lambda has this process run, such as `app.collect`; "" anywhere else."""
    return os.environ.get("_HANDLER", "") if "AWS_LAMBDA_RUNTIME_API" in os.environ else ""


def traces() -> bool:
    """Whether AWS Lambda Powertools was told to trace, by its own variable; unset: not, in functions too."""
    return os.environ.get("POWERTOOLS_TRACE_DISABLED", "").lower() in ("false", "0", "no", "off")


def variable_of(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def _flag_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _missing(settings: Settings, sources: Mapping[str, str]) -> list[str]:
    """What is not there, or contradicts something else, among settings that are each right."""
    tried = sources.keys()
    problems = []
    if not settings.site and "site" not in tried:
        problems.append(f"{variable_of('site')}: missing, the name of this site")
    if settings.backend is Backend.DIRECTORY and settings.data is None:
        problems.append(f"{variable_of('data')}: missing, the directory to keep everything in")
    if settings.backend is Backend.AWS:
        if not settings.blocks_bucket:
            problems.append(f"{variable_of('blocks_bucket')}: missing, the bucket for blocks")
    problems += _keys(settings)
    if bool(settings.blocks_access_key) != bool(settings.blocks_secret_key):
        both = f"{variable_of('blocks_access_key')} and {variable_of('blocks_secret_key')}"
        problems.append(f"{both}: use both or neither")
    if ("tls_cert" in tried) != ("tls_key" in tried):
        problems.append(f"{variable_of('tls_cert')} and {variable_of('tls_key')}: use both or neither")
    if settings.buffer_bytes < 4 * settings.block_size:
        problems.append(
            f"{variable_of('buffer_bytes')}: less than four blocks of {settings.block_size} bytes"
        )
    return problems


def _keys(settings: Settings) -> list[str]:
    """The master key comes from one place; a directory makes one of its own."""
    given = [name for name in ("kms_key", "master_key", "master_key_file") if getattr(settings, name)]
    if len(given) > 1:
        return [f"{' and '.join(variable_of(name) for name in given)}: use one"]
    if settings.backend is Backend.AWS and not given:
        others = f"{variable_of('master_key')} or {variable_of('master_key_file')}"
        return [f"{variable_of('kms_key')}: missing, the KMS key that keeps secrets; or {others}"]
    if settings.backend is Backend.DIRECTORY and settings.kms_key:
        return [f"{variable_of('kms_key')}: for tables in DynamoDB only; a directory has its master.key"]
    return []
