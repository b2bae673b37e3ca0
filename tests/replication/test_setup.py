"""What is refused before a link is made."""

import secrets

import pytest

from chalicelib.objects.errors import InvalidRequest
from chalicelib.replication import setup
from tests.builders import KIB, Net, put, text


def wanted(site, **more):
    """A link to a sink that nobody asks whether it is there."""
    key = "11" * 32
    asked = {"sink": True, "prove": False, **more}
    return setup.Wanted(site, "https://127.0.0.1:9", secrets.token_hex(32), key, "0" * 16, **asked)


def test_no_more_sinks_than_a_transaction_has_room_for():
    """With all of them a record can still take another's place; one more is refused, in words."""
    net = Net("a")
    node = net["a"]
    for n in range(setup.SINKS_MAX):
        setup.connect(node, wanted(f"s{n}"))

        def on(by_site, site=f"s{n}"):
            by_site[site] = setup.replace(by_site[site], enabled=True)

        node.links.change(on)
    photos = net.make_bucket()
    for body in (b"x" * 100 * KIB, b"y" * 100 * KIB):
        put(node.site, photos, "k", body)
    assert text(node.site, photos.id, "k") == body

    with pytest.raises(InvalidRequest, match="at most 40 sinks"):
        setup.connect(node, wanted("one-more"))
    setup.connect(node, wanted("s0"))  # anew
    setup.connect(node, wanted("source", sink=False, source=True))
