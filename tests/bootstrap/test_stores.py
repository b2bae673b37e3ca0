"""Stores of a server over DynamoDB and a bucket: its processes share what one machine can share."""

import threading

import pytest

from chalicelib.bootstrap.stores import open_aws
from chalicelib.settings import Settings


@pytest.fixture
def settings(tmp_path):
    """Nothing listens there: what is tested here needs no store."""
    return Settings.from_environment(
        {
            "CAUSEWAY_SITE": "west",
            "CAUSEWAY_BACKEND": "aws",
            "CAUSEWAY_DATA": str(tmp_path),
            "CAUSEWAY_BLOCKS_BUCKET": "blocks",
            "CAUSEWAY_BLOCKS_REGION": "us-east-1",
            "CAUSEWAY_BLOCKS_ENDPOINT": "http://127.0.0.1:9",
            "CAUSEWAY_DYNAMODB_ENDPOINT": "http://127.0.0.1:9",
            "CAUSEWAY_MASTER_KEY": "00" * 32,
        }
    )


def test_counters_are_summed_over_processes(settings):
    """What one process of a server counts, every other one shows; a new server begins at 0."""
    main = open_aws(settings, first=True)
    workers = [open_aws(settings), open_aws(settings)]
    for worker in workers:
        worker.counters.add("proxy_get_blocks_total", 2, link="east")
    assert main.counters.all() == {("proxy_get_blocks_total", "east"): 4}
    assert open_aws(settings, first=True).counters.all() == {}


def test_locks_exclude_other_processes(settings):
    """A block that one worker fetches is not fetched by the other at the same time."""
    one, other = open_aws(settings), open_aws(settings)
    order = []

    def second():
        with other.locks.hold("block/1"):
            order.append("second")

    with one.locks.hold("block/1"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_function_shares_nothing(settings, tmp_path):
    """Without a directory nothing is written anywhere."""
    alone = Settings.from_environment(
        {
            "CAUSEWAY_SITE": "west",
            "CAUSEWAY_BACKEND": "aws",
            "CAUSEWAY_BLOCKS_BUCKET": "blocks",
            "CAUSEWAY_BLOCKS_REGION": "us-east-1",
            "CAUSEWAY_MASTER_KEY": "00" * 32,
        }
    )
    open_aws(alone).counters.add("proxy_get_blocks_total")
    assert list(tmp_path.iterdir()) == []
