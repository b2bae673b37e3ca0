"""The use cases of one site, one file per verb. Knows nothing of other sites."""
