"""What most tests of two sites begin with; who needs other sites or links makes a `net` of its own."""

import pytest

from tests.builders import Net


@pytest.fixture
def net():
    """a, the primary, streams to b."""
    return Net("a", "b").link("a", "b")


@pytest.fixture
def photos(net):
    """A bucket at a."""
    return net.make_bucket()
