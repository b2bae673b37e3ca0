"""One contract per port: a class of tests that every adapter and every wrapper passes."""

from pathlib import Path

import pytest

# pytest explains failed assertions only in test modules and in modules it was told of.
pytest.register_assert_rewrite(
    *(f"{__name__}.{path.stem}" for path in Path(__file__).parent.glob("[!_]*.py"))
)
