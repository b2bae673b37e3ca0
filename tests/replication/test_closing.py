"""DeleteBucket over several sites: closed before a copy is called empty, opened again if one is not."""

import pytest

from chalicelib.domain.account import BucketState
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.objects.errors import BucketNotEmpty, NoSuchBucket
from chalicelib.replication import sink
from tests.builders import Net, put, text, through_door

DROP = ("delete_bucket", {"name": "photos", "owner": "ann"})


def drop(net, at="a"):
    return net[at].names.decide(*DROP)


@pytest.mark.parametrize("over", [None, through_door])
def test_nothing_is_acknowledged_after_a_site_said_empty(over, monkeypatch):
    """A PUT at the asked site, right after its answer, gets NoSuchBucket: it is not lost with a 200."""
    net = Net("a", "b", **({"over": over} if over else {})).both_ways("a", "b")
    net.make_bucket()
    photos, late = net.bucket("b"), []
    ask = sink.Sink.bucket_empty

    def then_put(self, *asked):
        answer = ask(self, *asked)
        with pytest.raises(NoSuchBucket):
            put(net["b"].site, photos, "k", b"acknowledged")
        late.append(answer)
        return answer

    monkeypatch.setattr(sink.Sink, "bucket_empty", then_put)
    assert BucketState.DELETED is drop(net).state
    assert [True] == late


class TestChain:
    """a, the primary, is linked to b only; c hears of buckets through b."""

    @pytest.fixture
    def net(self):
        net = Net("a", "b", "c").both_ways("a", "b").both_ways("b", "c")
        net.make_bucket()
        return net

    def test_the_far_site_is_asked(self, net):
        """Its key, not delivered yet, keeps the bucket; afterwards every site goes on writing."""
        put(net["c"].site, net.bucket("c"), "k", b"acknowledged at c")
        with pytest.raises(BucketNotEmpty):
            drop(net)
        net.deliver()
        for name in "abc":
            put(net[name].site, net.bucket(name), f"from {name}")
        assert b"acknowledged at c" == text(net["a"].site, net.bucket("a").id, "k")

    def test_the_far_site_cannot_be_asked(self, net):
        """Nobody knows what it holds: the bucket stays, open."""
        net.cut = {("b", "c"), ("c", "b")}
        put(net["c"].site, net.bucket("c"), "k")
        with pytest.raises(Unavailable):
            drop(net)
        net.cut.clear()
        net.deliver()
        assert all(net.bucket(name) for name in "abc")

    def test_an_empty_bucket_goes(self, net):
        """Everywhere."""
        assert BucketState.DELETED is drop(net).state
        net.deliver()
        for name in "abc":
            with pytest.raises(NoSuchBucket):
                net.bucket(name)


def test_a_ring_asks_each_site_once():
    """Nobody is asked by two, nobody asks whoever asks it."""
    net = Net("a", "b", "c").both_ways("a", "b").both_ways("b", "c").both_ways("c", "a")
    net.make_bucket()
    drop(net)
    asked = sorted(other for _, other, verb in net.called if verb == "bucket_empty")
    assert ["b", "c"] == asked


def test_a_site_that_does_not_hear_the_primarys_stream():
    """b only streams to the primary: it closes when asked, and is told that the bucket is open again."""
    net = Net("a", "b").link("b", "a")
    net["b"].names.decide("create_bucket", {"name": "photos", "owner": "ann"})
    put(net["a"].site, net.bucket("a"), "k")
    with pytest.raises(BucketNotEmpty):
        drop(net)
    put(net["b"].site, net.bucket("b"), "goes on")


def test_a_lost_answer_opens_the_bucket_again():
    """Whether b closed is unknown: nothing was deleted, and b is open again too."""
    net = Net("a", "b").both_ways("a", "b")
    net.make_bucket()
    net.lost_answers = [Indeterminate("lost")]
    with pytest.raises(Unavailable, match="site b did not say"):
        drop(net)
    net.deliver()
    put(net["b"].site, net.bucket("b"), "goes on")
