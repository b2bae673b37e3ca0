"""The admin API: JSON over HTTP, signed with SigV4 by an administrator's key, as S3 requests are.

    GET    /causeway/admin/site                       who this site is
    GET    /causeway/admin/status                     every link, as replication.status computes it
    GET    /causeway/admin/users                      all users, without secrets
    POST   /causeway/admin/users                      {name, email?, admin?} → user and secret, once
    POST   /causeway/admin/users/KEY                  {enabled?, name?, email?, new_secret?}
    GET    /causeway/admin/buckets                    all buckets and who may hold them
    POST   /causeway/admin/buckets/NAME               {sites: [site, …] or ["*"], anyway?}
    GET    /causeway/admin/links                      all links, without secrets
    POST   /causeway/admin/links                      {site, endpoint, secret, …}: prove, then save
    DELETE /causeway/admin/links/SITE                 forget a link and what it was owed
    POST   /causeway/admin/links/SITE/realtime        {action: enable | start | stop | disable
                                                                | pause-blocks | resume-blocks}
    POST   /causeway/admin/links/SITE/proxy-get       {action: enable | disable}
    POST   /causeway/admin/links/SITE/fullsync        {action: start | stop | interval, …}
    POST   /causeway/admin/gc                         one GC run now
    GET    /causeway/admin/failed                     what failed and why
    POST   /causeway/admin/failed                     {action: retry | drop, id | all}

Errors  {"error": code, "message": what to do}, with S3's status; a caller who is no administrator
        gets 403 whatever the path, so that the API cannot be explored
Source  DESIGN §1.8, §4; verbs of riak-repl (research/riakcs.md §1.7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from chalicelib.domain.errors import StoreError
from chalicelib.hosts.failed import Failed
from chalicelib.hosts.json_api import Fields, answer, fields_of
from chalicelib.hosts.lambda_events import run_message
from chalicelib.objects import accounts
from chalicelib.objects.errors import InvalidRequest, NoSuchUser, UserAlreadyExists
from chalicelib.ports.queues import NO_QUEUES, Queues
from chalicelib.replication import setup, status
from chalicelib.replication.links import Link
from chalicelib.replication.node import Node
from chalicelib.s3 import errors
from chalicelib.s3.body import receive_small
from chalicelib.s3.caller import Caller
from chalicelib.s3.request import Request, Response
from chalicelib.s3.service import S3Service, as_s3_error

PREFIX = "/causeway/admin/"
BODY_BYTES_MAX = 64 * 1024  # the largest admin request is a link with a CA file's path


class AdminApi:
    """Answers administrators."""

    def __init__(self, node: Node, service: S3Service, endpoint: str, queues: Queues = NO_QUEUES) -> None:
        self._node = node
        self._queues = queues
        failed = Failed(node, queues)
        self._service = service
        self._endpoint = endpoint
        self._routes: dict[tuple[str, str], Callable[[str, Fields], Any]] = {
            ("GET", "site"): self._site,
            ("GET", "status"): self._status,
            ("GET", "users"): self._users,
            ("POST", "users"): self._create_user,
            ("POST", "users/*"): self._update_user,
            ("GET", "buckets"): self._buckets,
            ("POST", "buckets/*"): self._update_bucket,
            ("GET", "links"): self._links,
            ("POST", "links"): self._connect,
            ("DELETE", "links/*"): self._disconnect,
            ("POST", "links/*/realtime"): self._realtime,
            ("POST", "links/*/proxy-get"): self._proxy_get,
            ("POST", "links/*/fullsync"): self._fullsync,
            ("GET", "links/*/fullsync"): self._fullsync_status,
            ("POST", "gc"): self._gc,
            ("GET", "failed"): failed.shown,
            ("POST", "failed"): failed.change,
        }

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            fields = self._fields(request)
            path = request.raw_path.decode("ascii", "replace").removeprefix(PREFIX).rstrip("/")
            parts = path.split("/")
            name = parts[1] if len(parts) > 1 else ""
            pattern = "/".join(["*" if n == 1 else part for n, part in enumerate(parts)])
            route = self._routes.get((request.method, pattern))
            if route is None:
                raise errors.MethodNotAllowed("The admin API has no such method and path.")
            return answer(200, route(name, fields))
        except Exception as problem:  # noqa: BLE001 - an administrator gets an answer too
            return self._failure(problem)

    def _fields(self, request: Request) -> Fields:
        caller, identity = self._service.authenticate(request)
        _require_admin(caller)
        body = receive_small(request, identity, length_max=BODY_BYTES_MAX)
        return fields_of(body) if body else {}

    def _failure(self, problem: Exception) -> Response:
        if isinstance(problem, NoSuchUser):  # S3 knows no users, so it has no error for these two
            nobody = f"no user has access key {problem}; causeway user list shows them"
            return answer(404, {"error": "NoSuchUser", "message": nobody})
        if isinstance(problem, UserAlreadyExists):
            return answer(409, {"error": "UserAlreadyExists", "message": str(problem)})
        failure = as_s3_error(problem)
        told = isinstance(problem, (StoreError, errors.S3Error, InvalidRequest)) and str(problem)
        if isinstance(failure, errors.InternalError):
            self._node.site.log.event("admin_request_failed", problem=repr(problem)[:300])
        return answer(failure.status, {"error": failure.code, "message": told or failure.message})

    # ------------------------------------------------------------------- site

    def _site(self, name: str, fields: Fields) -> Any:
        site, record = self._node.site, self._node.record
        return {
            "site": site.id,
            "incarnation": record.incarnation,
            "primary": record.primary,
            "endpoint": self._endpoint,
            "public_key": site.vault.public_key().hex(),
            "read_only": site.read_only,
            "now_ms": site.clock.now_ms(),
        }

    def _status(self, name: str, fields: Fields) -> Any:
        return {
            **self._site(name, fields),
            "links": [asdict(link) for link in status.links(self._node)],
            "incomplete": status.incomplete_records(self._node),
        }

    # ------------------------------------------------------------------ users

    def _users(self, name: str, fields: Fields) -> Any:
        return {"users": [_user(user) for user in accounts.all_users(self._node.site)]}

    def _create_user(self, name: str, fields: Fields) -> Any:
        user = self._node.names.decide("create_user", _only(fields, "name", "email", "admin"))
        return self._with_secret(user)

    def _update_user(self, name: str, fields: Fields) -> Any:
        arguments = _only(fields, "enabled", "name", "email", "new_secret")
        user = self._node.names.decide("update_user", {**arguments, "access_key": name})
        return self._with_secret(user) if fields.get("new_secret") else _user(user)

    def _with_secret(self, user: Any) -> Fields:
        return {**_user(user), "secret_key": setup.secret_of(self._node.site, user)}

    # ---------------------------------------------------------------- buckets

    def _buckets(self, name: str, fields: Fields) -> Any:
        return {"buckets": [_bucket(bucket) for bucket in accounts.named_buckets(self._node.site)]}

    def _update_bucket(self, name: str, fields: Fields) -> Any:
        sites = _only(fields, "sites", "anyway").get("sites")
        if not fields.get("anyway"):
            setup.require_sites(self._node, sites)
        return _bucket(self._node.names.decide("update_bucket", {"sites": sites, "name": name}))

    # ------------------------------------------------------------------ links

    def _links(self, name: str, fields: Fields) -> Any:
        hidden = ("secret", "public_key")
        links = self._node.links.read().by_site.values()
        return {"links": [{k: v for k, v in asdict(li).items() if k not in hidden} for li in links]}

    def _connect(self, name: str, fields: Fields) -> Any:
        wanted = setup.Wanted(
            **_only(
                fields, "site", "endpoint", "secret", "public_key", "incarnation", "ca_file",
                "tables", "sink", "source", "prove", "administers",
            )
        )  # fmt: skip
        setup.connect(self._node, wanted)
        return {"connected": wanted.site}

    def _disconnect(self, name: str, fields: Fields) -> Any:
        setup.disconnect(self._node, name)
        return {"disconnected": name}

    def _realtime(self, name: str, fields: Fields) -> Any:
        setup.realtime(self._node, name, str(fields.get("action")))
        return {"link": name, "realtime": fields.get("action")}

    def _proxy_get(self, name: str, fields: Fields) -> Any:
        setup.proxy_get(self._node, name, str(fields.get("action")))
        return {"link": name, "proxy_get": fields.get("action")}

    def _fullsync(self, name: str, fields: Fields) -> Any:
        action = fields.get("action")
        node = self._node
        link = node.links.read().get(name)
        if action == "start":
            setup.require_sink(link)
            node.start_fullsync(name, anyway=bool(fields.get("anyway")), dry_run=bool(fields.get("dry_run")))
            self._have_driven(name)
        elif action == "stop":  # of whatever link: one that is no sink any more may have a run left
            node.runs.stop(name, node.site.clock.now_ms())
        elif action == "interval":
            setup.require_sink(link)
            setup.fullsync_interval(node, link.site, fields.get("interval_ms"))
        else:
            raise InvalidRequest("action: start, stop or interval")
        return self._run(node.links.read().get(name))

    def _have_driven(self, name: str) -> None:
        """On functions, begin in seconds: the next minute's schedule would find the run, too."""
        queue = self._queues.fullsync
        if queue is None:
            return
        try:
            queue.send(run_message(name))
        except StoreError as problem:
            self._node.site.log.event("fullsync_not_sent", link=name, problem=str(problem)[:300])

    def _fullsync_status(self, name: str, fields: Fields) -> Any:
        return self._run(setup.require_sink(self._node.links.read().get(name)))

    def _run(self, link: Link) -> Fields:
        return {**asdict(self._node.runs.read(link.site)), "interval_ms": self._node.interval_ms(link)}

    def _gc(self, name: str, fields: Fields) -> Any:
        site = self._node.site
        if not site.rules.deletes:
            raise InvalidRequest(
                f"this process may not delete blocks: invoke the function causeway-{site.id}-collect, or "
                "wait for its schedule, each hour"
            )
        return asdict(self._node.collect())


def _require_admin(caller: Caller) -> None:
    if not caller.user.admin:
        raise errors.AccessDenied("Only an administrator may do this.")


def _only(fields: Fields, *names: str) -> Fields:
    unknown = sorted(set(fields) - set(names))
    if unknown:
        raise InvalidRequest(f"unknown field {unknown[0][:40]!r}; use {', '.join(names)}")
    return fields


def _user(user: Any) -> Fields:
    return {
        "access_key": user.access_key,
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "enabled": user.enabled,
        "admin": user.admin,
        "created_ms": user.created_ms,
    }


def _bucket(bucket: Any) -> Fields:
    return {
        "name": bucket.name,
        "id": bucket.id,
        "owner": bucket.owner,
        "home": bucket.home,
        "sites": list(bucket.sites),
        "state": bucket.state,
        "created_ms": bucket.created_ms,
    }
