"""Bucket events and schedules: doubled, late, lost or malformed, what arrives at the sinks is the same."""

import dataclasses
import json

import pytest

from chalicelib.domain.names import key_hash
from chalicelib.hosts import lambda_events
from chalicelib.hosts.lambda_events import MalformedEvent, on_documents
from chalicelib.objects import documents
from chalicelib.replication.runs import State
from tests.builders import RULES, Net, SetClock, keys, put, remove, text
from tests.hosts.s3_events import SMALL, Told, document, s3_event

MINUTE = 60_000


@pytest.fixture
def net():
    return Net("a", "b", rules=dataclasses.replace(RULES, documents=True)).link("a", "b")


@pytest.fixture
def photos(net):
    return net.make_bucket()


def heard(net, *names, prefix="", **fields):
    """What a's handler does about an event."""
    return on_documents(s3_event(*names, **fields), net["a"].serve_document, prefix, Told())


# ------------------------------------------------------------------------------------- documents


def test_a_document_is_a_record_on_its_way(net, photos):
    """One event: the record and its blocks are there, and nothing is owed any more."""
    record = put(net["a"].site, photos, "k", SMALL)
    assert net["a"].site.blocks.get_document(document(record))

    count = heard(net, document(record))

    assert {"documents": 1, "served": 2, "ignored": 0, "failed": 0} == count
    assert SMALL == text(net["b"].site, photos.id, "k")
    assert [] == net.owed("a", "b")


def test_all_records_of_an_event(net, photos):
    """And each of them its own."""
    records = [put(net["a"].site, photos, f"k{n}") for n in range(5)]

    assert 3 == heard(net, *(document(record) for record in records[:3]))["served"]

    assert ["k0", "k1", "k2"] == keys(net["b"].site, photos.id)
    assert 2 == len(net.owed("a", "b"))


def test_doubled_and_late(net, photos):
    """A second time there is nothing to do: not a call goes over the link."""
    record = put(net["a"].site, photos, "k", SMALL)
    heard(net, document(record))
    calls = sum(net.calls.values())

    assert 0 == heard(net, document(record), document(record))["served"]

    assert calls == sum(net.calls.values())


def test_out_of_order(net, photos):
    """The newer first: the older one's item is settled, for what replaced it has its own."""
    old = put(net["a"].site, photos, "k", b"old")
    new = put(net["a"].site, photos, "k", b"new")

    heard(net, document(new), document(old))

    assert b"new" == text(net["b"].site, photos.id, "k")
    assert [] == net.owed("a", "b")


def test_a_key_that_is_gone(net, photos):
    """The event of a put after its delete sends the tombstone, or nothing; never the object."""
    record = put(net["a"].site, photos, "k")
    remove(net["a"].site, photos, "k")

    heard(net, document(record))
    net.deliver()

    assert [] == keys(net["b"].site, photos.id)
    assert [] == net.owed("a", "b")


def test_a_record_that_is_nowhere(net, photos):
    """Somebody wrote a document by hand, or restored a bucket: nothing happens."""
    name = documents.name(photos.id, key_hash("never"), "0192f3a4b5c6-0003-west")

    assert {"documents": 1, "served": 0, "ignored": 0, "failed": 0} == heard(net, name)


def test_users_and_buckets_have_documents(net):
    """They go as fast as objects do."""
    bucket = net["a"].names.decide("create_bucket", {"name": "films", "owner": "ann"})
    user = net["a"].names.decide("create_user", {"name": "Ann"})

    heard(
        net, f"manifests/bucket/{bucket.id}/{bucket.stamp}", f"manifests/user/{user.access_key}/{user.stamp}"
    )

    assert {f"bucket:{bucket.id}", f"user:{user.access_key}"} <= net["b"].sink_of(
        net["b"].links.read().get("a")
    ).accounts().keys()
    assert [] == net.owed("a", "b")
    assert net["a"].site.blocks.get_document(f"manifests/bucket/{bucket.id}/{bucket.stamp}")
    assert net["a"].site.blocks.get_document(f"manifests/user/{user.access_key}/{user.stamp}")


def test_a_sink_that_is_down(net, photos):
    """The handler succeeds: the item stays owed, and the sweep of a later minute sends it."""
    record = put(net["a"].site, photos, "k", SMALL)
    net.cut.add(("a", "b"))

    assert 0 == heard(net, document(record))["served"]
    assert 1 == len(net.owed("a", "b"))

    net.cut.clear()
    net.clock.advance(MINUTE)
    assert 2 == lambda_events.sweep(net["a"], MINUTE)["served"]
    assert SMALL == text(net["b"].site, photos.id, "k")


def test_stopped_links_and_paused_blocks(net, photos):
    """Stopped: nothing is sent. Without blocks: the record alone."""
    record = put(net["a"].site, photos, "k", SMALL)
    net["a"].links.update("b", started=False)
    assert 0 == heard(net, document(record))["served"]

    net["a"].links.update("b", started=True, blocks=False)
    assert 1 == heard(net, document(record))["served"]

    assert ["small"] == [stage for stage, _ in net.owed("a", "b")]


def test_where_the_prefix_is(net, photos):
    """A site may have a part of a bucket only: other parts are not its business."""
    record = put(net["a"].site, photos, "k")

    assert 1 == heard(net, document(record), prefix="east/")["ignored"]
    assert 1 == heard(net, "east/" + document(record), prefix="east/")["served"]


@pytest.mark.parametrize(
    "key",
    [
        "manifests/",
        "manifests/x/y/z",
        "manifests/" + "0" * 32 + "/bucket/notastamp",
        "manifests/" + "0" * 32 + "/../0192f3a4b5c6-0003-west",
        "manifests/user/A/B/0192f3a4b5c6-0003-west",
        "manifests/user/A/0192f3a4b5c6-0003-west\n",
        "blocks/00/u/a/0",
        "\udcff",
        "",
        "%",
    ],
)
def test_names_that_are_no_documents(net, key):
    """Told and left alone; a retry would bring nothing else."""
    told = Told()
    event = s3_event("x")
    event["Records"][0]["s3"]["object"]["key"] = key

    count = on_documents(event, net["a"].serve_document, "", told)

    assert (1, ["document_ignored"]) == (count["ignored"], [name for name, _ in told.events])


def test_what_s3_sends_besides(net, photos):
    """A test event, a removal: nothing to do."""
    record = put(net["a"].site, photos, "k")
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "RequestId": "x"}

    assert 0 == on_documents(test_event, net["a"].serve_document, "", Told())["documents"]
    assert 0 == heard(net, document(record), event="ObjectRemoved:Delete")["documents"]
    assert 1 == heard(net, document(record), event="s3:ObjectCreated:Put")["documents"]  # MinIO's way


@pytest.mark.parametrize(
    "event",
    [{}, [], None, "x", {"Records": 1}, {"Records": [1]}, {"Records": [{"eventName": "ObjectCreated:Put"}]},
     {"Records": [{"eventName": 1, "s3": {"object": {"key": "k"}}}]},
     {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": None}}}]}],
    ids=repr,
)  # fmt: skip
def test_events_that_are_none(event):
    """Told apart from those that only bring nothing."""
    with pytest.raises(MalformedEvent):
        on_documents(event, lambda told: 0, "", Told())


@pytest.mark.parametrize("message", ["", "x", "[]", "{", '{"Type": "Notification"}', "[" * 5000])
def test_messages_that_hold_no_event(message):
    """So that the queue gives them up."""
    with pytest.raises(MalformedEvent):
        lambda_events.body_of(message)


def test_messages_by_way_of_sns():
    """A topic before the queue wraps once more."""
    inner = json.dumps(s3_event("k"))

    assert s3_event("k") == lambda_events.body_of(json.dumps({"Type": "Notification", "Message": inner}))
    assert s3_event("k") == lambda_events.body_of(inner)


# ------------------------------------------------------------------------------------- schedules


def test_the_sweep_serves_folds_and_greets(net, photos):
    """All that is due on every lane; dirty marks; and it learns that an idle link is up."""
    for n in range(150):
        put(net["a"].site, photos, f"k{n}", b"x")
    put(net["a"].site, photos, "large", SMALL)

    count = lambda_events.sweep(net["a"], MINUTE)
    idle = lambda_events.sweep(net["a"], MINUTE)

    assert {"served": 152, "failed": 0, "folded": 151} == count
    assert {"served": 0, "failed": 0, "folded": 0} == idle
    assert 151 == len(keys(net["b"].site, photos.id))
    assert net["a"].contacts.read("b").up


def test_the_sweep_stops_in_time(net, photos):
    """No step begins when the time is nearly up; what is left is owed still."""
    put(net["a"].site, photos, "k")

    assert {"served": 0, "failed": 0, "folded": 0} == lambda_events.sweep(net["a"], 0)
    assert 1 == len(net.owed("a", "b"))


def test_the_sweep_goes_on_to_other_sinks():
    """One sink that is down keeps no other waiting."""
    net = Net("a", "b", "c").link("a", "b").link("a", "c")
    photos = net.make_bucket()
    put(net["a"].site, photos, "k")
    net.cut.add(("a", "b"))

    lambda_events.sweep(net["a"], MINUTE)

    assert ["k"] == keys(net["c"].site, photos.id)
    assert not net["a"].contacts.read("b").up


class Ticking(SetClock):
    """A clock that goes on by itself."""

    def now_ms(self):
        self.ms += 3
        return self.ms


def test_fullsync_goes_on_where_it_stopped(monkeypatch):
    """Each function does what its time allows; together they do all, and a further run finds nothing."""
    monkeypatch.setattr("tests.builders.SetClock", Ticking)
    net = Net("a", "b")
    photos = net.make_bucket()
    for n in range(400):
        put(net["a"].site, photos, f"k{n}")
    net.link("a", "b", fullsync_interval_ms=3_600_000)

    runs = 0
    while net["a"].runs.read("b").state is not State.COMPLETE:
        lambda_events.fullsync(net["a"], 1000)
        runs += 1

    assert 2 < runs < 400
    assert keys(net["a"].site, photos.id) == keys(net["b"].site, photos.id)
    assert 1 + 400 == net["a"].runs.read("b").tally.applied  # the bucket, too
    assert {"running": 0, "driven": 0, "failed": 0} == lambda_events.fullsync(net["a"], MINUTE)


def test_fullsync_without_time(net):
    """Nothing is begun that could not be ended."""
    net["a"].start_fullsync("b")

    assert 0 == lambda_events.fullsync(net["a"], 0)["running"]
    assert State.RUNNING is net["a"].runs.read("b").state


def test_gc(net, photos):
    """What nothing names goes after leeway."""
    put(net["a"].site, photos, "k", SMALL)
    put(net["a"].site, photos, "k", SMALL)
    net.deliver()
    net.clock.advance(RULES.leeway_ms + 1)

    found = {"collected": 0, "blocks": 5, "held": 0, "lost": 0, "unfinished": 0}
    assert found == lambda_events.collect(net["a"], MINUTE)


def test_gc_without_time(net, photos):
    """It says that there is more to do, and the next run does it."""
    put(net["a"].site, photos, "k", SMALL)
    put(net["a"].site, photos, "k", SMALL)
    net.deliver()
    net.clock.advance(RULES.leeway_ms + 1)

    assert 1 == lambda_events.collect(net["a"], 0)["unfinished"]
    assert 5 == lambda_events.collect(net["a"], MINUTE)["blocks"]


# ------------------------------------------------------------------------- fullsync over a queue


class Kept:
    """A queue in memory: what was sent."""

    name = "runs"

    def __init__(self):
        self.sent = []

    def send(self, body, attributes=None):
        """Keep it."""
        self.sent.append(body)


def deal(net, queue, left_ms, message=None):
    """One message dealt with, the next one of the queue if none is given."""
    return lambda_events.fullsync_step(net["a"], queue, message or queue.sent.pop(0), left_ms)


def test_runs_are_handed_on(monkeypatch):
    """The schedule names a run, each step goes on where the last one stopped, and names it again."""
    monkeypatch.setattr("tests.builders.SetClock", Ticking)
    net, queue = Net("a", "b"), Kept()
    photos = net.make_bucket()
    for n in range(200):
        put(net["a"].site, photos, f"k{n}")
    net.link("a", "b", fullsync_interval_ms=3_600_000)

    assert {"running": 1, "sent": 1, "failed": 0} == lambda_events.schedule(net["a"], queue)
    steps = 0
    while queue.sent:
        deal(net, queue, 300)
        steps += 1

    assert 2 < steps < 200
    assert State.COMPLETE is net["a"].runs.read("b").state
    assert keys(net["a"].site, photos.id) == keys(net["b"].site, photos.id)


def test_a_driver_that_died(net, photos):
    """Its lease ends with the time it had, whatever the lease of others; then the schedule names the run."""
    put(net["a"].site, photos, "k", SMALL)
    net["a"].start_fullsync("b")
    queue, left_ms = Kept(), 5000
    assert net["a"].runs.lease("b", net.clock.now_ms(), left_ms)

    assert 0 == lambda_events.schedule(net["a"], queue)["sent"]
    assert {"driven": 0, "ended": 0, "handed_on": 0} == deal(net, queue, left_ms, '{"sink": "b"}')
    net.clock.advance(left_ms)
    assert 1 == lambda_events.schedule(net["a"], queue)["sent"]

    assert {"driven": 1, "ended": 1, "handed_on": 0} == deal(net, queue, MINUTE)


def test_doubled_messages(net):
    """The run has ended, or never was: nothing happens, and nothing is handed on."""
    queue = Kept()
    net["a"].start_fullsync("b")
    deal(net, queue, MINUTE, '{"sink": "b"}')

    for name in ("b", "nobody"):
        assert 0 == sum(deal(net, queue, MINUTE, json.dumps({"sink": name})).values())
    assert [] == queue.sent


def test_runs_to_a_sink_that_is_down(net):
    """Is left to the schedule: a message each moment would be a fire."""
    queue = Kept()
    net["a"].start_fullsync("b")
    net.cut.add(("a", "b"))

    assert {"driven": 1, "ended": 0, "handed_on": 0} == deal(net, queue, MINUTE, '{"sink": "b"}')
    assert [] == queue.sent and State.RUNNING is net["a"].runs.read("b").state


@pytest.mark.parametrize("message", ["", "[]", "{}", '{"sink": 7}', "null", "[" * 10_000])
def test_messages_that_name_nothing(net, message):
    """Can never be dealt with."""
    with pytest.raises(MalformedEvent):
        deal(net, Kept(), MINUTE, message or " ")
