"""POST /causeway/events: what a bucket in MinIO tells by its webhook.

    Authorization: Bearer <CAUSEWAY_EVENTS_TOKEN>      as MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_<ID> sends it
    {"EventName": …, "Key": …, "Records": […]}         an S3 event

Where there is a queue for them, events go there and functions have them from it; else they are served here.
Promise nothing of the body is read before the token is right; an event answered 200 is in the queue, or
        served as far as it could be in SERVE_MS. MinIO with a QUEUE_DIR sends again what is answered
        otherwise; without one it does not, and the sweep finds what is owed.
Errors  404 where no token is set, so that nobody learns more · 403 · 413 · 400 no S3 event · 503 no queue now
Source  MinIO "Publish events to webhook"; law *one door*.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable

from chalicelib.bootstrap.front import Handler, text
from chalicelib.domain.errors import StoreError
from chalicelib.hosts.lambda_events import keys_in, on_documents
from chalicelib.objects.documents import Told
from chalicelib.ports.queues import Queue
from chalicelib.ports.system import Log
from chalicelib.s3.errors import S3Error
from chalicelib.s3.request import Body, Request, Response

PATH = b"/causeway/events"
BODY_BYTES_MAX = 85 * 1024  # an SQS message holds 256 KiB; two bytes of UTF-8 become six of ASCII
SERVE_MS = 5_000  # MinIO waits, and may keep its own client waiting; what is left is the sweep's


def webhook(token: str, queue: Queue | None, serve: Callable[[Told], int], prefix: str, log: Log) -> Handler:
    """What answers the path; `serve` and `prefix` are as `on_documents` takes them."""

    def handle(request: Request) -> Response:
        refused = _refused(request, token)
        if refused is not None:
            return refused
        try:
            event = json.loads(_read(request.body).decode())
            found = list(keys_in(event))
        except (ValueError, RecursionError, S3Error) as problem:
            return text(400, f"no S3 event: {str(problem)[:200]}\n")
        try:
            if found and queue is not None:
                # ASCII: JSON may hold characters that SQS takes in no message, and MinIO would send for ever.
                queue.send(json.dumps({"Records": event["Records"]}, separators=(",", ":")))
            elif found:
                on_documents(event, serve, prefix, log.event)
        except StoreError as problem:
            log.event("event_not_taken", level="error", problem=str(problem)[:300])
            return text(503, "not taken now; send it again\n")
        return text(200, "taken\n")

    return handle


def _refused(request: Request, token: str) -> Response | None:
    if not token:
        return text(404, "no such path\n")
    shown = (request.headers.get("authorization") or "").encode("utf-8", "replace")
    if not hmac.compare_digest(shown, f"Bearer {token}".encode()):
        return text(403, "the webhook's token is not this site's CAUSEWAY_EVENTS_TOKEN\n")
    if request.method != "POST":
        return text(405, "POST events here\n")
    length = request.body.length
    if length is None or length > BODY_BYTES_MAX:
        return text(413, f"an event has at most {BODY_BYTES_MAX} bytes, and says how many\n")
    return None


def _read(body: Body) -> bytes:
    pieces = []
    while piece := body.read(BODY_BYTES_MAX):
        pieces.append(piece)
    return b"".join(pieces)
