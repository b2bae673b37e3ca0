"""A worker of the server with all its faces: S3, other sites, administrators, Prometheus.

build_worker  Settings → what hosts.worker runs on
Source        DESIGN §4.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from chalicelib import bootstrap
from chalicelib.hosts import events, metrics
from chalicelib.hosts.admin import PREFIX, AdminApi
from chalicelib.objects.documents import Told
from chalicelib.replication.node import Node
from chalicelib.s3 import errors
from chalicelib.s3.request import Request, Response
from chalicelib.s3.service import S3Service, error_response
from chalicelib.settings import Settings

Handler = Callable[[Request], Response]
DIRECT = b"/causeway/direct/"


def routes(node: Node, service: S3Service, settings: Settings) -> list[tuple[bytes, Handler]]:
    """The faces that stand beside S3 and the peers' door."""
    queues = bootstrap.open_queues(settings)
    admin = AdminApi(node, service, settings.url, queues)
    log, clock = node.site.log, node.site.clock

    def serve(told: Told) -> int:
        return node.serve_document(told, clock.now_ms() + events.SERVE_MS)

    told = events.webhook(settings.events_token, queues.documents, serve, settings.blocks_prefix, log)
    return [
        (PREFIX.encode(), admin.handle),
        (DIRECT, _direct(node, service)),
        (events.PATH, told),
        (b"/metrics", _metrics(node, service)),
    ]


def build_worker(settings: Settings) -> bootstrap.Wired:
    """One HTTP process of the server."""
    return bootstrap.build_worker(settings, routes)


def _direct(node: Node, service: S3Service) -> Handler:
    """The direct API, imported when it is first asked: no other request's cold start pays for it."""

    def handle(request: Request) -> Response:
        from chalicelib.hosts.direct_api import DirectApi

        return DirectApi(node.site, service).handle(request)

    return handle


def _metrics(node: Node, service: S3Service) -> Handler:
    """Counts tell an outsider what goes on here: loopback, unless it speaks for somebody else, or an
    administrator's signature."""

    def handle(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return error_response(request, errors.MethodNotAllowed(), "")
        if not _loopback(request.remote) or _forwarded(request):
            try:
                caller, _ = service.authenticate(request)
            except errors.S3Error as no:
                return error_response(request, no, "")
            if not caller.user.admin:
                return error_response(request, errors.AccessDenied(), "")
        body = metrics.text(node).encode()
        headers = [("Content-Type", "text/plain; version=0.0.4"), ("Content-Length", str(len(body)))]
        return Response(200, headers, body)

    return handle


def _forwarded(request: Request) -> bool:
    """Whether a proxy says that it passes on what another asks."""
    names = request.headers.names()
    return any(name in ("forwarded", "x-real-ip") or name.startswith("x-forwarded-") for name in names)


def _loopback(remote: str) -> bool:
    try:
        return ipaddress.ip_address(remote).is_loopback
    except ValueError:
        return False
