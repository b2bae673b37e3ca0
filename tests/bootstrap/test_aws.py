"""What clients are made by: every service that is needed here, and by the SDK for its own credentials."""

import pytest

from chalicelib.bootstrap.aws import OF_CREDENTIALS, OURS, aws_session


@pytest.mark.parametrize("service", [*OURS, *OF_CREDENTIALS])
def test_clients(service):
    """Of the SDK's own descriptions."""
    client = aws_session().client(service, region_name="us-east-1")

    assert service == client.meta.service_model.service_name


def test_credentials_of_a_web_identity(monkeypatch, tmp_path, moto):
    """As in a Kubernetes cluster: a token in a file is exchanged at STS."""
    token = tmp_path / "token"
    token.write_text("a token")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/causeway")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint)

    found = aws_session().get_credentials().get_frozen_credentials()

    assert found.token
    assert found.access_key.startswith("ASIA")
