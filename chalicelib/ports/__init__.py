"""What the core needs from the world, as Protocols with prose contracts (tests/conformance proves them)."""
