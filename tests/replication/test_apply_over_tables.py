"""Apply over tables: the sink's functions run by the source, over the sink's stores, without its key.

DirectPeer keeps the contract of ports/peers.py over memory and over real DynamoDB Local and MinIO.
"""

import json
import secrets

import boto3
import pytest

from chalicelib.adapters.dynamodb import client_config, create_tables, delete_tables
from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.vault import SealedVault
from chalicelib.bootstrap.aws import AwsPlaces, blocks_over, dynamodb_client, metadata_over, s3_client
from chalicelib.bootstrap.tables import SinkPlaces, direct_peer, peer_over, read_places
from chalicelib.domain import codec
from chalicelib.domain.errors import Corrupt, Refused
from chalicelib.objects import accounts
from chalicelib.objects.names import secret_context
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.ports.metadata import Put
from chalicelib.replication.links import LINKS, RECORD
from tests.builders import Net, inner_blocks, put, text, through_door
from tests.conformance.peers import LARGE, PeerContract, sent

FAR_MS = 31_000  # past every cache of links and records


def over_stores(net, me, link):
    """b as a sees it, over b's stores in memory."""
    other = net[link.site].site
    http = through_door(net, me, link)
    blocks = inner_blocks(other)
    return peer_over(net[me].site, link.site, other.metadata, blocks, link.public_key, http)


class TestOverMemory(PeerContract):
    """Quickly."""

    @pytest.fixture
    def over(self):
        return over_stores


class TestOverAws(PeerContract):
    """With the very wiring of a link's `tables`."""

    @pytest.fixture(scope="class")
    def session(self, minio):
        """One identity for both stores; a session costs more than all that a test does."""
        return boto3.session.Session(minio.access_key, minio.secret_key, region_name=minio.region)

    @pytest.fixture
    def store(self, minio, dynamodb, session, monkeypatch):
        """name → places; tables and buckets of this test's own."""
        monkeypatch.setattr("chalicelib.bootstrap.tables.aws_session", lambda: session)
        run = secrets.token_hex(6)
        s3 = session.client("s3", endpoint_url=minio.endpoint)
        tables = session.client("dynamodb", endpoint_url=dynamodb.endpoint, config=client_config())
        made = {}
        for name in ("a", "b"):
            places = AwsPlaces(
                f"{run}-{name}", minio.region, dynamodb.endpoint,
                f"{run}-{name}", "below/", minio.region, minio.endpoint,
            )  # fmt: skip
            s3.create_bucket(Bucket=places.bucket)
            create_tables(tables, places.dynamodb_prefix)
            made[name] = places
        yield made
        for places in made.values():
            delete_tables(tables, places.dynamodb_prefix)

    @pytest.fixture
    def over(self, store):
        made = {}  # as bootstrap keeps them: a client of boto3 costs a fifth of a second

        def dial(net, me, link):
            if (me, link.site) not in made:
                http = through_door(net, me, link)
                described = json.dumps(described_by(store[link.site]))
                made[me, link.site] = direct_peer(net[me].site, link.site, described, link.public_key, http)
            return made[me, link.site]

        return dial

    @pytest.fixture
    def net(self, over, store, session):
        net = Net(over=over)
        for name, places in store.items():
            blocks = VerifiedBlocks(blocks_over(s3_client(places, session), places), Blake3Hashing())
            metadata = metadata_over(dynamodb_client(places, session), places)
            net.add(name, metadata=metadata, blocks=blocks)
        return net.both_ways("a", "b")


def described_by(places):
    """The text of a link's `tables`, before it is text."""
    return {
        "dynamodb": {
            "prefix": places.dynamodb_prefix,
            "region": places.dynamodb_region,
            "endpoint": places.dynamodb_endpoint,
        },
        "bucket": {
            "name": places.bucket,
            "prefix": places.bucket_prefix,
            "region": places.bucket_region,
            "endpoint": places.bucket_endpoint,
        },
        "leeway": "1h",
    }


# ------------------------------------------------------------------------------- what is special


@pytest.fixture
def net():
    return Net("a", "b", "c", over=over_stores).link("a", "b").link("b", "c")


def peer_of(net):
    """b, as a sees it."""
    return net["a"].dial(net["a"].links.read().get("b"))


def test_what_arrives_cascades(net):
    """The sink's own outbox is written with the record: its sweep sends on what the source left there."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", LARGE)

    assert 1 == len(net.owed("a", "b"))
    net["a"].serve_all(net["a"].links.read().get("b"))
    assert [("record", record.size)] == [(stage, item.size) for stage, item in net.owed("b", "c")]
    net.deliver()

    assert LARGE == text(net["c"].site, photos.id, "k")


def test_the_source_never_holds_the_key_of_the_sink(net):
    """A user's secret lies there as it was sealed; the sink opens it, and sends it on to its own sinks."""
    user = net["a"].names.decide("create_user", {"name": "Ann"})
    context = secret_context(user.access_key)
    secret = net["a"].site.vault.open(user.secret, context)
    net.deliver()

    for name in ("b", "c"):
        kept = accounts.find_user(net[name].site, user.access_key).secret
        assert secret == net[name].site.vault.open(kept, context)
        with pytest.raises(Corrupt):
            net["a"].site.vault.open(kept, context)
        with pytest.raises(Corrupt):
            net[name].site.vault.open(kept, secret_context("somebody else"))


def test_a_vault_without_its_key_opens_nothing():
    """And makes nothing, so that no code path can leave a secret it should not have made."""
    vault = SealedVault(b"k" * 32)

    for verb in (vault.wrap, vault.unwrap, vault.unseal, vault.open):
        with pytest.raises(Refused):
            verb(b"x", "c")
    with pytest.raises(Refused):
        vault.seal(b"k" * 32, "x", "c")
    with pytest.raises(Corrupt):
        vault.keep(b"short", "c")


def test_tables_of_another_version_are_refused(net):
    """Nothing is written into what a newer Causeway keeps; it is looked at again and again."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k")
    peer, metadata = peer_of(net), net["b"].site.metadata
    peer.hello()
    form = metadata.get([RECORD])[0]
    newer = {**codec.decode_document(form), "version": 3, "what": "nobody knows yet"}

    metadata.transact([Put(RECORD, codec.encode_document(newer))])
    net.clock.advance(FAR_MS)

    with pytest.raises(Refused, match="version 3"):
        peer.apply([sent(record)])
    metadata.transact([Put(RECORD, form)])
    assert "b" == peer.hello().site


def test_tables_of_another_site_are_refused(net):
    """A description that names the wrong tables is found out before anything is written."""
    link = net["a"].links.read().get("b")
    http = through_door(net, "a", link)
    wrong = net["c"].site
    peer = peer_over(net["a"].site, "b", wrong.metadata, inner_blocks(wrong), link.public_key, http)

    with pytest.raises(Refused, match="tables of site c, not of b"):
        peer.hello()


def test_tables_without_a_link_back_are_refused(net):
    """The sink's operator decides who writes there; taking the link away ends it within a minute."""
    peer = peer_of(net)
    peer.hello()
    net["b"].site.metadata.transact([Put(LINKS, codec.encode_document({"epoch": 9, "links": {}}))])
    net.clock.advance(FAR_MS)

    with pytest.raises(Refused, match="no link to a"):
        peer.hello()


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ("", "not JSON"),
        ("[]", "an object"),
        ('{"dynamodb": {"prefix": "x"}}', "bucket is an object"),
        ('{"dynamodb": {"prefix": "x"}, "bucket": {"name": "y", "nome": ""}}', "bucket has name"),
        ('{"dynamodb": {}, "bucket": {"name": "y"}}', "dynamodb has prefix"),
        ('{"dynamodb": {"prefix": 7}, "bucket": {"name": "y"}}', "of texts"),
        ('{"dynamodb": {"prefix": "x"}, "bucket": {"name": "y"}, "leeway": "soon"}', "duration"),
        ('{"dynamodb": {"prefix": "x"}, "bucket": {"name": "y"}, "more": 1}', "no more"),
    ],
)
def test_a_description_that_is_none(tables, problem):
    """ValueError, worded for whoever typed it."""
    with pytest.raises(ValueError, match=problem):
        read_places(tables)


def test_a_description():
    """What is left out is AWS itself, its credentials, and this site's leeway."""
    places = read_places('{"dynamodb": {"prefix": "x"}, "bucket": {"name": "y", "region": "eu-west-1"}}')

    assert places == SinkPlaces(AwsPlaces("x", "us-east-1", "", "y", "", "eu-west-1", ""), leeway_ms=None)
    assert places.aws.bucket_keys is None
