"""The only place that chooses adapters: Settings → a wired site, for each role a process can have.

    open_main(settings)       the main process of a server: owns the stores, does what no request waits for
    build_worker(settings)    an HTTP process beside it
    build_function(settings)  a process over DynamoDB and a bucket: a Lambda function
    first_administrator(node) made once, its keys shown once
    Powers, EVERY_POWER       what its role allows such a process
    open_queues(settings)     SQS, where it was given
    create_stores(settings)   tables and a bucket, where no stack makes them
    rewrap_master_key(settings) under another KMS key
    document_events(settings) what a bucket in MinIO tells of documents, for a main process

Errors  SettingsError, worded for the operator; Refused when another server owns the data directory
Source  DESIGN §4.
"""

from chalicelib.bootstrap.administrator import first_administrator
from chalicelib.bootstrap.aws import document_events
from chalicelib.bootstrap.made import create_stores
from chalicelib.bootstrap.main import Main, Wakeup, open_main
from chalicelib.bootstrap.master_key import rewrap_master_key
from chalicelib.bootstrap.queues import open_queues
from chalicelib.bootstrap.start import EVERY_POWER, Powers
from chalicelib.bootstrap.worker import Wired, build_function, build_worker

__all__ = [
    "EVERY_POWER",
    "Main",
    "Powers",
    "Wakeup",
    "Wired",
    "build_function",
    "build_worker",
    "create_stores",
    "document_events",
    "first_administrator",
    "open_main",
    "open_queues",
    "rewrap_master_key",
]
