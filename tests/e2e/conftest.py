"""Pairs of real sites for end-to-end tests, one kind for each backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.linked import SETTINGS
from tests.site_process import SiteProcess, aws_site, directory_site

OpenSite = Callable[..., SiteProcess]


@pytest.fixture
def open_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenSite]:
    """open_site("west", backend="aws", leeway="1s") → a running site, gone after the test."""
    with ExitStack() as sites:

        def open_one(name: str, backend: str = "directory", **settings: Any) -> SiteProcess:
            told = {**SETTINGS, **settings}
            if backend == "directory":
                return sites.enter_context(directory_site(tmp_path / name, name, **told))
            services = [request.getfixturevalue(each) for each in ("minio", "dynamodb")]
            return sites.enter_context(aws_site(tmp_path / name, *services, name, **told))

        yield open_one
