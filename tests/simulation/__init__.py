"""The production core under a deterministic scheduler, with faults; see README.md."""
