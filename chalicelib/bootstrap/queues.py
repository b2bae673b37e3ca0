"""Settings → queues; their client is made when the first of them is used."""

from __future__ import annotations

from functools import cache
from typing import Any

from chalicelib.ports.queues import Queue, Queues
from chalicelib.settings import Settings


def open_queues(settings: Settings) -> Queues:
    """The queues this site was given."""

    @cache
    def client() -> Any:
        from chalicelib.adapters import sqs_queue
        from chalicelib.bootstrap.aws import aws_session

        return aws_session().client(
            "sqs",
            region_name=settings.blocks_region,
            endpoint_url=settings.sqs_endpoint or None,
            config=sqs_queue.client_config(),
        )

    def queue(url: str) -> Queue | None:
        if not url:
            return None
        from chalicelib.adapters.sqs_queue import SqsQueue

        return SqsQueue(client, url)

    return Queues(
        queue(settings.documents_queue),
        queue(settings.fullsync_queue),
        queue(settings.documents_dead_queue),
        queue(settings.fullsync_dead_queue),
    )
