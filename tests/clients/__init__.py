"""Real S3 clients, and bad input in bytes, against real sites over both backends."""
