"""What functions tell: JSON lines with Lambda's and our request ids, metrics as EMF, never a secret."""

import io
import json
import os
import secrets
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from chalicelib.hosts import functions
from chalicelib.replication import setup
from tests.hosts.fronts import FunctionUrl, through
from tests.hosts.functions_site import on_moto
from tests.hosts.s3_events import s3_event

EVENTS_TOKEN = secrets.token_hex(20)


class Lines:
    """Everything that was told, since this was last asked."""

    def __init__(self, capsys, stream):
        self._capsys, self._stream = capsys, stream
        self.whole = ""

    def json(self):
        """Each line that is an object."""
        out, err = self._capsys.readouterr()
        new = self._stream.getvalue() + out + err
        self._stream.seek(0)
        self._stream.truncate()
        self.whole += new
        return [json.loads(line) for line in new.splitlines() if line.startswith("{")]

    def metrics(self):
        """(dimension names, {metric and dimension: value}) of each EMF object."""
        found = [line for line in self.json() if "_aws" in line]
        return [(set(one["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]), one) for one in found]


@pytest.fixture
def lines(capsys, monkeypatch):
    # Powertools' handler keeps the stream there was when it was made.
    stream = io.StringIO()
    monkeypatch.setattr(functions.logger.registered_handler, "stream", stream)
    return Lines(capsys, stream)


@pytest.fixture
def site(lines):
    with on_moto(CAUSEWAY_EVENTS_TOKEN=EVENTS_TOKEN) as site:
        yield site


def schedule(site, name):
    """A function by its schedule."""
    return site.client.lambda_.invoke(
        name, site.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
    ).payload


def link(site, secret):
    """West owes north, which nobody answers for."""
    key = site.node.site.vault.public_key().hex()
    north = setup.Wanted("north", "https://127.0.0.1:9", secret, key, "0" * 16)
    setup.connect(site.node, replace(north, sink=True, prove=False))
    setup.realtime(site.node, "north", "enable")
    setup.realtime(site.node, "north", "start")


def test_request_ids(site, lines):
    """One line a request: Lambda's id, the id the client was told, the site."""
    s3 = through(FunctionUrl(), site.url, *site.keys, site.region)
    lines.json()

    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket="nowhere", Key="k")

    [told] = [line for line in lines.json() if line.get("message") == "request"]
    assert told["function_request_id"] and told["function_name"]
    assert raised.value.response["ResponseMetadata"]["RequestId"] == told["s3_request_id"]
    assert {"status": 404, "method": "GET", "site": "west", "service": "causeway"}.items() <= told.items()


def test_metrics_of_a_request(site, lines):
    """Counts by site."""
    through(FunctionUrl(), site.url, *site.keys, site.region).list_buckets()

    told = [(names, one) for names, one in lines.metrics() if "requests" in one]

    assert [{"service", "site"}] == [names for names, _ in told]
    assert ([1], [0], "west") == (told[0][1]["requests"], told[0][1]["request_failures"], told[0][1]["site"])


def test_how_far_behind(site, lines):
    """By link; and the worst of them by site, which is what the alarm looks at."""
    link(site, secrets.token_hex(32))
    owed_ms = site.node.site.clock.now_ms()
    site.node.names.decide("create_bucket", {"name": "photos", "owner": "ann"})
    lines.json()

    assert 0 == schedule(site, "sweep")["served"]

    told = lines.metrics()
    [by_site] = [one for names, one in told if names == {"service", "site"} and "lag_seconds" in one]
    [by_link] = [one for names, one in told if names == {"service", "site", "link"}]
    assert ("causeway", "west", "north") == (by_link["service"], by_link["site"], by_link["link"])
    assert ([1.0], [0.0]) == (by_link["records_behind"], by_link["blocks_behind"])
    longest_s = (site.node.site.clock.now_ms() - owed_ms) / 1000
    assert 0 < by_link["lag_seconds"][0] <= longest_s + 0.001
    assert by_link["lag_seconds"] == by_site["lag_seconds"] and "bytes_behind" in by_link
    assert {"Causeway"} == {one["_aws"]["CloudWatchMetrics"][0]["Namespace"] for _, one in told}


def test_nothing_is_owed(site, lines):
    """The alarm's metric is there nevertheless: 0, not missing."""
    schedule(site, "sweep")

    assert [[0.0]] == [one["lag_seconds"] for _, one in lines.metrics() if "lag_seconds" in one]


def test_no_secret_is_told(site, lines):
    """Neither of users nor of links, neither the master key nor the webhook's token, whatever happens."""
    secret = secrets.token_hex(32)
    link(site, secret)
    s3 = through(FunctionUrl(), site.url, *site.keys, site.region)
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": site.region})
    url = s3.generate_presigned_url("get_object", {"Bucket": "photos", "Key": "k"})
    front, body = FunctionUrl(), json.dumps(s3_event("manifests/x")).encode()
    for shown in (f"Bearer {EVENTS_TOKEN}", "Bearer wrong"):
        site.url(front.event("POST", f"{front.endpoint}/causeway/events", {"Authorization": shown}, body))
    site.url(FunctionUrl().event("GET", url, {}, b""))
    for name in ("sweep", "fullsync", "collect"):
        schedule(site, name)

    assert lines.json()
    for hidden in (site.keys[1], secret, EVENTS_TOKEN, os.environ["CAUSEWAY_MASTER_KEY"], "X-Amz-Signature"):
        assert hidden not in lines.whole
