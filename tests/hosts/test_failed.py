"""`causeway failed` and its admin API: shown with reasons, tried again, dropped."""

import json
import secrets

import boto3
import pytest

from chalicelib.adapters.sqs_queue import SqsQueue
from chalicelib.cli.failed import about
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.manifest import BlockId
from chalicelib.hosts.failed import LETTERS_MAX, Failed
from chalicelib.objects.errors import InvalidRequest
from chalicelib.ports.queues import NO_QUEUES, Queues
from tests.builders import Net, inner_blocks, put
from tests.command import NO, OK, REFUSED, USAGE, run
from tests.conformance.queues import received
from tests.hosts.s3_events import SMALL, s3_event
from tests.queues import MemoryQueue
from tests.site_process import directory_site

REASON = {
    "reason": "MalformedEvent: the message holds no [/b] event",
    "queue": "causeway-west-documents",
    "message_id": "m-17",
    "request_id": "request 7",
    "tries": "5",
}


@pytest.fixture
def net():
    return Net("a", "b").link("a", "b")


@pytest.fixture
def queues():
    return Queues(*(MemoryQueue(name) for name in ("documents", "runs", "documents-dead", "runs-dead")))


@pytest.fixture
def failed(net, queues):
    return Failed(net["a"], queues)


def letters(failed):
    """What is shown."""
    return failed.shown("", {})["letters"]


def change(failed, **fields):
    """What was done."""
    return failed.change("", fields)


# ---------------------------------------------------------------------------------- dead letters


def test_a_letter_with_its_reason(failed, queues):
    """Everything there is to know; looking leaves it where it is."""
    queues.documents_dead.send("poison", REASON)

    for _ in range(2):
        [letter] = letters(failed)
        assert {"body": "poison", **REASON}.items() <= letter.items()


def test_a_letter_without_one(failed, queues):
    """SQS moved it, for its function was ended: the queue is known, the reason is said as far as it is."""
    queues.fullsync_dead.send('{"sink": "east"}')

    [letter] = letters(failed)

    assert ("runs-dead", "") == (letter["queue"], letter["tries"])
    assert "ended before it could say why" in letter["reason"]


def test_one_tried_again(failed, queues):
    """It is in its own queue then, with nothing of its death, and the other letter stays."""
    for sink in ("east", "north"):
        queues.fullsync_dead.send(sink, REASON)
    wanted = {letter["body"]: letter["id"] for letter in letters(failed)}["east"]

    assert {"action": "retry", "letters": 1, "links": 0} == change(failed, action="retry", id=wanted)

    assert (["east"], ["north"]) == (queues.fullsync.bodies, queues.fullsync_dead.bodies)
    assert {} == received(queues.fullsync)[0].attributes
    assert ["north"] == [letter["body"] for letter in letters(failed)]


def test_all_tried_again(failed, queues):
    """Each in its own queue."""
    queues.fullsync_dead.send("f")
    queues.documents_dead.send("d")

    assert 2 == change(failed, action="retry", all=True)["letters"]

    assert (["f"], ["d"]) == (queues.fullsync.bodies, queues.documents.bodies)
    assert [] == letters(failed)


def test_dropped(failed, queues):
    """Gone for good."""
    queues.documents_dead.send("poison")
    [letter] = letters(failed)

    assert 1 == change(failed, action="drop", id=letter["id"])["letters"]

    assert [] == queues.documents_dead.bodies + queues.documents.bodies


def test_more_than_are_shown(failed, queues):
    """Said so; none is held back from others afterwards."""
    for n in range(LETTERS_MAX + 1):
        queues.documents_dead.send(str(n))

    shown = failed.shown("", {})

    assert shown["more"] and LETTERS_MAX == len(shown["letters"])
    assert queues.documents_dead.receive(1)


@pytest.mark.parametrize(
    "fields",
    [{}, {"action": "burn", "id": "x"}, {"action": "drop", "all": True}, {"action": "retry"},
     {"action": "retry", "id": "x", "all": True}, {"action": "drop", "id": 7},
     {"action": "drop", "id": "nobody"}, {"action": "retry", "id": "", "queue": "x"}],
    ids=repr,
)  # fmt: skip
def test_wrong_use(failed, queues, fields):
    """Refused, and nothing is done."""
    queues.documents_dead.send("poison")

    with pytest.raises(InvalidRequest):
        change(failed, **fields)

    assert 1 == len(letters(failed))


def test_a_dead_queue_alone(net, queues):
    """A letter is not thrown away where nobody knows where it belongs."""
    failed = Failed(net["a"], Queues(documents_dead=queues.documents_dead))
    queues.documents_dead.send("poison")

    with pytest.raises(InvalidRequest, match="documents-dead"):
        change(failed, action="retry", all=True)

    assert ["poison"] == [letter["body"] for letter in letters(failed)]


def test_the_queue_is_down(failed, queues):
    """The letter stays, and shows itself again."""
    queues.documents_dead.send("poison")
    queues.documents.problem = Unavailable("down")
    with pytest.raises(Unavailable):
        change(failed, action="retry", all=True)
    assert 1 == len(letters(failed))

    queues.documents.problem = None
    assert 1 == change(failed, action="retry", all=True)["letters"]


# ------------------------------------------------------------------------------------ owed items


def test_what_was_tried_in_vain(net):
    """A record whose block is lost here: the sink it is owed to, the error, how often; then once more."""
    failed = Failed(net["a"], NO_QUEUES)
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", SMALL)
    put(net["a"].site, photos, "fine", SMALL)
    inner_blocks(net["a"].site).delete(BlockId(record.upload, "0", 0))
    net.deliver()

    [item] = failed.shown("", {})["items"]

    assert ("b", "small", "object", 1) == (item["sink"], item["stage"], item["kind"], item["tries"])
    assert "Missing" in item["error"]
    done = change(failed, action="retry", all=True)
    assert {"action": "retry", "letters": 0, "links": 1, "more": False}.items() <= done.items()
    assert [] == failed.shown("", {})["items"]


# ------------------------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"sink": "east"}', "fullsync to east"),
        (json.dumps(s3_event("manifests/a b", "x")), "manifests/a b, x"),
        ("poison" + "x" * 100, "poison" + "x" * 54),
        ("[]", "[]"),
        ('{"Records": [1]}', '{"Records": [1]}'),
        ("", ""),
    ],
)
def test_what_a_message_was_about(body, told):
    """Whatever it is; tests/cli/test_output.py has it on one line and without control characters."""
    assert told == about(body)


def test_the_command(tmp_path, moto):
    """Against a served site whose queues are moto's: nothing, one letter, its fate."""
    sqs = boto3.client("sqs", **moto.boto3_arguments())
    run_, names = secrets.token_hex(6), ("documents_queue", "documents_dead_queue")
    urls = {name: sqs.create_queue(QueueName=f"{name}-{run_}")["QueueUrl"] for name in names}
    queue, dead = (SqsQueue(lambda: sqs, url) for url in urls.values())
    told = {**urls, "sqs_endpoint": moto.endpoint, "blocks_region": moto.region, "workers": 1}
    with directory_site(tmp_path, "west", **told) as site:
        at = ("--data", site.data)
        ran = run("failed", *at)
        assert (OK, "nothing failed\n") == (ran.exit, ran.out)

        dead.send(json.dumps(s3_event("manifests/a b")), REASON)
        ran = run("failed", "list", *at)
        assert NO == ran.exit
        for word in ("causeway-west-documents", "manifests/a b", REASON["reason"]):
            assert word in ran.out
        ran = run("failed", "--json", *at)
        [letter] = ran.json["letters"]
        assert NO == ran.exit and REASON.items() <= letter.items()

        keys = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), site.user(), strict=True))
        assert REFUSED == run("failed", "--endpoint-url", site.endpoint, **keys).exit
        assert USAGE == run("failed", "retry", *at).exit == run("failed", "retry", "m", "--all", *at).exit
        assert REFUSED == run("failed", "drop", "nobody", *at).exit
        assert 1 == run("failed", "retry", letter["id"], "--json", *at).json["letters"]

        [message] = received(queue)
        assert (letter["body"], {}) == (message.body, message.attributes)
        dead.send("poison")
        [letter] = run("failed", "--json", *at).json["letters"]
        assert "1 letter dropped\n" == run("failed", "drop", letter["id"], *at).out
        assert OK == run("failed", *at).exit
