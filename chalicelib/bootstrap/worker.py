"""What answers HTTP: one handler over one wired site.

Source  DESIGN §3 *one door*, §4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.adapters.http_peer import FUNCTION_READ_S
from chalicelib.bootstrap.front import Handler, front, live, peers, ready
from chalicelib.bootstrap.parts import open_log, wire
from chalicelib.bootstrap.start import EVERY_POWER, Powers
from chalicelib.bootstrap.stores import join_directory, open_aws
from chalicelib.domain import wire as frames
from chalicelib.ports.system import Clock, Log
from chalicelib.replication.door import PeerDoor
from chalicelib.replication.node import Node
from chalicelib.s3.service import S3Service
from chalicelib.settings import Backend, Settings

Faces = Callable[[Node, S3Service, Settings], list[tuple[bytes, Handler]]]


@dataclass(frozen=True)
class Wired:
    """What a host needs."""

    node: Node
    handle: Handler
    clock: Clock
    log: Log
    close: Callable[[], None]


def no_faces(node: Node, service: S3Service, settings: Settings) -> list[tuple[bytes, Handler]]:
    """Nothing beside S3, the peers' door and the health checks."""
    return []


def build_worker(settings: Settings, faces: Faces = no_faces) -> Wired:
    """An HTTP process beside a main process that has the data directory."""
    directory = settings.backend is Backend.DIRECTORY
    stores = join_directory(settings) if directory else open_aws(settings)
    log = open_log(settings)
    # No wake: the main process sees every commit to its tables.
    node = wire(settings, stores, log)
    return Wired(node, handler(node, settings, faces), node.site.clock, log, stores.close)


def build_function(settings: Settings, faces: Faces = no_faces, powers: Powers = EVERY_POWER) -> Wired:
    """A Lambda function; `powers` are what its role allows."""
    log = open_log(settings)
    stores = open_aws(settings, powers)
    node = wire(settings, stores, log, read_s=FUNCTION_READ_S)
    return Wired(node, handler(node, settings, faces), node.site.clock, log, stores.close)


def handler(node: Node, settings: Settings, faces: Faces = no_faces) -> Handler:
    """Everything one site answers."""
    s3 = S3Service(node.site, node.names, settings.base_domains)
    routes: list[tuple[bytes, Handler]] = [
        (b"/health/live", live),
        (b"/health/ready", ready(node.site.metadata, node.site.log)),
        (frames.PATH.encode(), peers(PeerDoor(node.site, node.links, node.sink_of))),
        *faces(node, s3, settings),
    ]
    return front(s3.handle, routes, settings.base_domains)
