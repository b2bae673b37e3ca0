"""A site that accepts what it is asked and never answers, and blocks that take a while."""

from chalicelib.adapters.http_peer import CONNECT_S, FUNCTION_READ_S
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.replication.sink import Sink
from tests.builders import inner_blocks

VAIN_MS = int((CONNECT_S + FUNCTION_READ_S) * 1000)  # what a call that nobody answers costs a function
_VERBS = {
    "hello": Unavailable,
    "wanted": Unavailable,
    "get_block": Unavailable,
    "apply": Indeterminate,
    "put_block": Indeterminate,
}


def hang(net, monkeypatch, site, verbs=tuple(_VERBS), choosy=lambda *asked: True):
    """`site` lets whoever asks it wait until he gives up; or only those who ask something `choosy`."""
    for verb in verbs:
        monkeypatch.setattr(Sink, verb, _hangs(net, site, verb, choosy))


def _hangs(net, site, verb, choosy):
    real = getattr(Sink, verb)

    def asked(self, *args):
        if self._site.id == site and choosy(*args):
            net.clock.advance(VAIN_MS)
            problem = _VERBS[verb](f"the connection to site {site} failed: ReadTimeoutError")
            problem.unanswered = True
            raise problem
        return real(self, *args)

    return asked


def slow(net, monkeypatch, ms, at="a"):
    """Each block read takes a while; when each was begun."""
    inner, begun = inner_blocks(net[at].site), []
    real = inner.get

    def get(ref):
        begun.append(net.clock.now_ms())
        net.clock.advance(ms)
        return real(ref)

    monkeypatch.setattr(inner, "get", get)
    return begun


def sent(net, to, what="blocks_sent_total"):
    """How much went from a to a sink."""
    return net["a"].counters.all().get((what, to), 0)
