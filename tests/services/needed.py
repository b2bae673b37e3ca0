"""What a test cannot do without: had, or skipped by name; with CI=true what is missing fails instead."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.services.install import Missing, in_ci

Found = TypeVar("Found")


def needed(find: Callable[[], Found]) -> Found:
    """What `find` finds."""
    try:
        return find()
    except Missing as reason:
        if in_ci():
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
