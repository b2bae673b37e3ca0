"""Names asked for at a site that is not the primary: decided there, in force here before the answer."""

import pytest

from chalicelib.domain.errors import Conflict, Unavailable
from chalicelib.objects import accounts


def create(net, name="photos"):
    return net["b"].names.decide("create_bucket", {"name": name, "owner": "ann"})


def test_decided_record_and_stream_at_once(net):
    """A decided bucket that realtime delivers at the same moment is a lost race, not a dead primary."""
    transact = net["b"].site.metadata.transact

    def delivered_first(writes):
        net["b"].site.metadata.transact = transact
        net.deliver()
        raise Conflict("realtime was first")

    net["b"].site.metadata.transact = delivered_first
    made = create(net)
    assert accounts.require_bucket(net["b"].site, "photos").id == made.id


def test_a_primary_that_cannot_be_reached_says_why(net):
    """503 names the primary, what goes on meanwhile, and what was wrong with the line."""
    net.cut.add(("b", "a"))
    with pytest.raises(Unavailable, match=r"site a decides.*Objects can be read.*site a does not answer"):
        create(net)


def test_races_without_end(net):
    """A record that cannot be stored here for all tries is an honest 503, and the decision stands."""
    net["b"].site.metadata.problems = [Conflict("again")] * net["b"].site.rules.conflict_tries
    with pytest.raises(Unavailable, match="decided, but not yet stored at b"):
        create(net)
    net.deliver()
    assert accounts.require_bucket(net["b"].site, "photos")
