"""Events of a bucket as AWS documents them, and what tests need around them."""

from urllib.parse import quote_plus

from chalicelib.domain.names import key_hash
from chalicelib.objects import documents

SMALL = bytes(range(256)) * 1200  # five blocks of tests.builders.RULES, on the small lane


def s3_event(*names, event="ObjectCreated:Put"):
    """As AWS documents it ("Event message structure", version 2.2); keys are URL-encoded."""
    return {
        "Records": [
            {
                "eventVersion": "2.2",
                "eventSource": "aws:s3",
                "awsRegion": "us-west-2",
                "eventTime": "1970-01-01T00:00:00.000Z",
                "eventName": event,
                "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "documents",
                    "bucket": {
                        "name": "causeway-west-blocks",
                        "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                        "arn": "arn:aws:s3:::causeway-west-blocks",
                    },
                    "object": {
                        "key": quote_plus(name),
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "sequencer": "0055AED6DCD90281E5",
                    },
                },
            }
            for name in names
        ]
    }


def document(record):
    """The name of a record's document."""
    return documents.name(record.bucket_id, key_hash(record.key), str(record.stamp))


class Told:
    """What the handler logs."""

    def __init__(self):
        self.events = []

    def __call__(self, name, **fields):
        self.events.append((name, fields))
