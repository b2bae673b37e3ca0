"""The hash tree's arithmetic: sums that forget order and can be undone."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import hashtree
from chalicelib.domain.hashtree import DEPTH, DIGEST_BYTES, EMPTY, Node, changed

digests = st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES)
nodes = st.builds(Node, st.integers(1, 2**40), st.integers(0, 2 ** (8 * DIGEST_BYTES) - 1))


def summed(entries):
    """The node above these entries."""
    node = EMPTY
    for entry in entries:
        node = changed(node, None, entry)
    return node


def number(value):
    """A digest that is a small number."""
    return value.to_bytes(DIGEST_BYTES)


@given(st.data(), st.lists(digests, max_size=8))
def test_order_does_not_matter(data, entries):
    """The same entries give the same node in whatever order they were folded."""
    assert summed(entries) == summed(data.draw(st.permutations(entries)))


@given(nodes, digests, digests)
def test_changed_has_an_inverse(node, old, new):
    """A change taken back leaves the node as it was."""
    assert node == changed(changed(node, old, new), new, old)
    assert node == changed(changed(node, None, new), new, None)


@given(nodes, digests)
def test_no_change_is_none(node, entry):
    """An entry that stays what it was moves nothing."""
    assert node == changed(node, entry, entry)


def test_the_worked_example():
    """Entries 3 and 5 give (2, 8); when 5 becomes 9 that is the node of 3 and 9."""
    node = summed([number(3), number(5)])

    assert Node(2, 8) == node
    assert summed([number(3), number(9)]) == changed(node, number(5), number(9))


def test_the_path_of_a_key():
    """Root first, one hex digit a level."""
    assert ["", "a", "ab", "abc", "abcd"] == hashtree.path("abcdef00" * 4)
    assert DEPTH + 1 == len(hashtree.path("abcdef00" * 4))


@given(nodes)
def test_stored_form(node):
    """A node is what its 22 bytes say; no row is EMPTY."""
    assert node == hashtree.decode(hashtree.encode(node))
    assert 22 == len(hashtree.encode(node))
    assert EMPTY == hashtree.decode(None)


def test_an_entry_is_the_form_of_the_record():
    """The digest of a record's bytes is the same at every site and for ever."""
    assert "cae66941d9efbd404e4d88758ea67670" == hashtree.entry_digest(b"").hex()
