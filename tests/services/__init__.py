"""Real MinIO and DynamoDB Local for the tests: installed, run and stopped, no containers."""
