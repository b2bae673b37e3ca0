"""Real MinIO, DynamoDB Local and a moto server for the tests: installed, run and stopped, no containers."""
