"""Causeway: an S3-compatible object store over two or more sites."""
