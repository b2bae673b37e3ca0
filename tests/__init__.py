"""Tests: contracts per port, laws per domain, simulation of the whole, real stores and clients."""
