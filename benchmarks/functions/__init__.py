"""Packaged functions measured in the Lambda host of tests: `python -m benchmarks functions`."""
