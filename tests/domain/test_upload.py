"""The life of an upload is a table."""

import pytest

from chalicelib.domain.upload import TRANSITIONS, UploadState, move

OPEN, COMMITTED, CLOSING = UploadState.OPEN, UploadState.COMMITTED, UploadState.CLOSING
ALLOWED = {(OPEN, COMMITTED), (OPEN, CLOSING), (COMMITTED, COMMITTED), (COMMITTED, CLOSING)}


@pytest.mark.parametrize("state", UploadState)
@pytest.mark.parametrize("to", UploadState)
def test_transitions(state, to):
    """Allowed ones give the new state; any other names both states."""
    if (state, to) in ALLOWED:
        assert to == move(state, to)
        return

    with pytest.raises(ValueError, match=f"{state} cannot become {to}"):
        move(state, to)


def test_every_state_has_its_row():
    """No state is forgotten, and nothing leads out of closing."""
    assert set(UploadState) == set(TRANSITIONS)
    assert frozenset() == TRANSITIONS[CLOSING]
