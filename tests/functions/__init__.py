"""Real S3 clients before packaged functions, through both fronts."""
