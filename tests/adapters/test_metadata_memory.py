"""Rows in memory keep the contract."""

import pytest

from chalicelib.adapters.memory_metadata import MemoryMetadata
from tests.conformance.metadata import MetadataContract


class TestMemoryMetadata(MetadataContract):
    @pytest.fixture
    def metadata(self) -> MemoryMetadata:
        return MemoryMetadata()
