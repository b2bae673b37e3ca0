"""Settings: everything that is wrong is said at once, secrets are never shown."""

from pathlib import Path

import pytest

from chalicelib.settings import Backend, Settings, SettingsError

GOOD = {"CAUSEWAY_SITE": "north", "CAUSEWAY_DATA": "data"}
KEY = "5e" * 32


def problems(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({f"CAUSEWAY_{name}": value for name, value in variables.items()})
    return caught.value.problems


def test_defaults():
    settings = Settings.from_environment(GOOD)

    assert (settings.site, settings.data, settings.backend) == ("north", Path("data"), Backend.DIRECTORY)
    assert settings.fullsync_interval == 6 * 3600 * 1000
    assert settings.block_size == 4 << 20
    assert settings.url == "http://127.0.0.1:9000"


def test_values_have_units():
    more = {"CAUSEWAY_LEEWAY": "90m", "CAUSEWAY_BLOCK_SIZE": "1MiB", "CAUSEWAY_READ_ONLY": "true"}
    settings = Settings.from_environment(GOOD | more | {"CAUSEWAY_BASE_DOMAINS": "s3.example, B.example"})

    assert (settings.leeway, settings.block_size, settings.read_only) == (90 * 60_000, 1 << 20, True)
    assert settings.base_domains == ("s3.example", "b.example")


def test_a_flag_stands_above_the_environment(monkeypatch):
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)

    assert Settings.read(site="south", port=9100, host=None).site == "south"


def test_every_problem_is_told_at_once():
    told = "\n".join(problems(PORT="-1", LEEWAY="soon", BOGUS="1", BACKEND="tape", TLS_CERT="nowhere"))

    for word in ("_PORT", "_LEEWAY", "_BOGUS", "_BACKEND", "_SITE: missing", "_DATA: missing", "_TLS_CERT"):
        assert word in told


def test_aws_needs_a_bucket_and_a_key():
    told = "\n".join(problems(SITE="north", BACKEND="aws"))

    assert "CAUSEWAY_BLOCKS_BUCKET: missing" in told
    assert "CAUSEWAY_KMS_KEY: missing" in told and "CAUSEWAY_MASTER_KEY" in told


def test_one_key_keeps_secrets():
    aws = {"SITE": "north", "BACKEND": "aws", "BLOCKS_BUCKET": "blocks"}

    assert "use one" in "\n".join(problems(**aws, MASTER_KEY=KEY, KMS_KEY="alias/north"))
    assert "CAUSEWAY_KMS_KEY" in "\n".join(problems(SITE="north", DATA="d", KMS_KEY="alias/north"))


def test_a_bucket_of_its_own_keys():
    aws = {"SITE": "north", "BACKEND": "aws", "BLOCKS_BUCKET": "blocks", "MASTER_KEY": KEY}

    assert "use both or neither" in "\n".join(problems(**aws, BLOCKS_SECRET_KEY="of the bucket"))


def test_queues_are_urls_and_tokens_are_long():
    told = "\n".join(problems(SITE="north", DATA="d", FULLSYNC_QUEUE="causeway", EVENTS_TOKEN="short-one"))

    assert "CAUSEWAY_FULLSYNC_QUEUE" in told and "CAUSEWAY_EVENTS_TOKEN" in told
    assert "short-one" not in told


def test_other_variables_are_nobody_s_business():
    Settings.from_environment(GOOD | {"AWS_REGION": "x", "PATH": "y"})


def test_secrets_are_not_shown():
    settings = Settings.from_environment(GOOD | {"CAUSEWAY_MASTER_KEY": KEY})
    told = problems(SITE="north", DATA="d", MASTER_KEY="5e5e-not-a-key")

    assert settings.master_key == bytes.fromhex(KEY)
    assert "5e5e" not in repr(settings) + str(told)
    assert repr(settings.master_key) not in repr(settings)
