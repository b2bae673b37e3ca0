"""What processes of a server over DynamoDB and a bucket share: whatever one machine can share."""

import threading

import pytest

from chalicelib.bootstrap.stores import shared
from chalicelib.settings import Settings

AWS = {
    "CAUSEWAY_SITE": "west",
    "CAUSEWAY_BACKEND": "aws",
    "CAUSEWAY_BLOCKS_BUCKET": "blocks",
    "CAUSEWAY_MASTER_KEY": "00" * 32,
}


@pytest.fixture
def settings(tmp_path):
    """A server's."""
    return Settings.from_environment(AWS | {"CAUSEWAY_DATA": str(tmp_path)})


def test_counters_are_summed_over_processes(settings):
    """What one process of a server counts, every other one shows; a new server begins at 0."""
    _, main = shared(settings, first=True)
    workers = [shared(settings)[1], shared(settings)[1]]
    for worker in workers:
        worker.add("proxy_get_blocks_total", 2, link="east")
    assert main.all() == {("proxy_get_blocks_total", "east"): 4}
    assert shared(settings, first=True)[1].all() == {}


def test_locks_exclude_other_processes(settings):
    """A block that one worker fetches is not fetched by the other at the same time."""
    one, other = shared(settings)[0], shared(settings)[0]
    order = []

    def second():
        with other.hold("block/1"):
            order.append("second")

    with one.hold("block/1"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_function_shares_nothing(tmp_path):
    """Without a directory nothing is written anywhere."""
    locks, counters = shared(Settings.from_environment(AWS))
    counters.add("proxy_get_blocks_total")
    with locks.hold("block/1"):
        pass
    assert list(tmp_path.iterdir()) == []
