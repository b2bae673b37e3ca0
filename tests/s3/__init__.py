"""The S3 protocol: what clients and attackers send, and what they are answered."""
