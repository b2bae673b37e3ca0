"""Request → operation: one table, and nothing falls through it.

In      an authenticated Request that has passed the door; the base domains of virtual hosts
Out     one Operation
Errors  MethodNotAllowed, NotImplemented, InvalidURI, InvalidBucketName, KeyTooLongError,
        InvalidArgument, and what the operation's parser raises
Source  Amazon S3 API reference; shape after Garage's router.rs

A query name that the chosen route does not list is refused with 501: `?acl` on a path that has no
such route must never become a plain GET or PUT of the object (reliability.md A11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from chalicelib.s3 import errors, names, parse_bucket, parse_object
from chalicelib.s3.call import Call
from chalicelib.s3.operations import GetAcl, GetSetting, Operation
from chalicelib.s3.request import Request, decode_path
from chalicelib.s3.sigv4 import SIGNING_PARAMS
from chalicelib.s3.unset_settings import BUCKET_SETTINGS, OBJECT_SETTINGS


class Level(Enum):
    """What a path names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Route:
    """One row: `selector` is the query name that picks it, "" for the plain verb.

    With `copy` the row is the one for requests that carry x-amz-copy-source.
    """

    method: str
    level: Level
    selector: str
    parse: Callable[[Call], Operation]
    allowed: frozenset[str] = frozenset()
    copy: bool = False


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LISTING = _names("prefix delimiter encoding-type max-keys")
_READING = _names("versionId partNumber") | frozenset(parse_object.OVERRIDES)
_PART = _names("partNumber")
_UPLOADS = _names("prefix delimiter encoding-type max-uploads key-marker upload-id-marker")


def _setting(name: str) -> Callable[[Call], Operation]:
    return lambda call: GetSetting(call.bucket, call.key, name)


def _acl(call: Call) -> Operation:
    return GetAcl(call.bucket, call.key)


_S, _B, _O = Level.SERVICE, Level.BUCKET, Level.OBJECT
ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        _S,
        "",
        parse_bucket.list_buckets,
        _names("prefix max-buckets continuation-token"),
    ),
    Route("PUT", _B, "", parse_bucket.create_bucket),
    Route("HEAD", _B, "", parse_bucket.head_bucket),
    Route("DELETE", _B, "", parse_bucket.delete_bucket),
    Route("GET", _B, "", parse_bucket.list_objects, _LISTING | {"marker"}),
    Route(
        "GET",
        _B,
        "list-type",
        parse_bucket.list_objects_v2,
        _LISTING | _names("start-after continuation-token fetch-owner"),
    ),
    Route("GET", _B, "location", parse_bucket.get_bucket_location),
    Route("GET", _B, "uploads", parse_bucket.list_multipart_uploads, _UPLOADS),
    Route("POST", _B, "delete", parse_bucket.delete_objects),
    Route("GET", _B, "acl", _acl),
    *(Route("GET", _B, name, _setting(name)) for name in sorted(BUCKET_SETTINGS)),
    Route("PUT", _O, "", parse_object.put_object),
    Route("PUT", _O, "", parse_object.copy_object, copy=True),
    Route("GET", _O, "", parse_object.get_object, _READING),
    Route("HEAD", _O, "", parse_object.head_object, _READING),
    Route("DELETE", _O, "", parse_object.delete_object, _names("versionId")),
    Route("POST", _O, "uploads", parse_object.create_multipart_upload),
    Route("PUT", _O, "uploadId", parse_object.upload_part, _PART),
    Route("PUT", _O, "uploadId", parse_object.upload_part_copy, _PART, copy=True),
    Route("POST", _O, "uploadId", parse_object.complete_multipart_upload),
    Route("DELETE", _O, "uploadId", parse_object.abort_multipart_upload),
    Route(
        "GET",
        _O,
        "uploadId",
        parse_object.list_parts,
        _names("max-parts part-number-marker encoding-type"),
    ),
    Route("GET", _O, "acl", _acl, _names("versionId")),
    *(Route("GET", _O, name, _setting(name), _names("versionId")) for name in sorted(OBJECT_SETTINGS)),
)
_TABLE = {(route.method, route.level, route.selector, route.copy): route for route in ROUTES}
_VERBS = {(route.method, route.level) for route in ROUTES}
_SELECTORS: dict[tuple[str, Level], frozenset[str]] = {
    verb: frozenset(r.selector for r in ROUTES if (r.method, r.level) == verb and r.selector)
    for verb in _VERBS
}


def parse(request: Request, base_domains: tuple[str, ...] = ()) -> Operation:
    """The operation a request asks for, its fields validated."""
    bucket, key = resource(request, base_domains)
    level = _O if key else _B if bucket else _S
    params = _params(request)
    route = _route(request, level, params)
    if bucket:
        names.check_bucket(bucket)
        names.check_key(key)
    return route.parse(Call(request, bucket, key, params))


def resource(request: Request, base_domains: tuple[str, ...] = ()) -> tuple[str, str]:
    """(bucket, key) as named by the host and path, decoded, not yet checked."""
    path = decode_path(request.raw_path)
    if base_domains:
        host = (request.headers.get("host") or "").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        for domain in base_domains:
            if name.endswith("." + domain):
                return name[: -len(domain) - 1], path[1:]
    bucket, _, key = path[1:].partition("/")
    if key and not bucket:
        raise errors.InvalidBucketName(BucketName="")
    return bucket, key


def _params(request: Request) -> dict[str, str]:
    """The query as a dict, without what signs or labels a request."""
    params: dict[str, str] = {}
    for name, value in request.query:
        if name in params:
            raise errors.InvalidArgument("Duplicate query parameter.", ArgumentName=name[:64])
        if name != "x-id" and name not in SIGNING_PARAMS:
            params[name] = value
    return params


def _route(request: Request, level: Level, params: dict[str, str]) -> Route:
    verb = request.method, level
    selectors = [name for name in params if name in _SELECTORS.get(verb, ())]
    if len(selectors) > 1:
        raise errors.InvalidArgument(
            "Conflicting query string parameters: " + ", ".join(sorted(selectors)),
            ArgumentName="ResourceType",
            ArgumentValue=selectors[0],
        )
    selector = selectors[0] if selectors else ""
    copy = "x-amz-copy-source" in request.headers
    route = _TABLE.get((*verb, selector, copy)) or _TABLE.get((*verb, selector, False))
    unknown = [n for n in params if n != selector and (route is None or n not in route.allowed)]
    if unknown:
        raise errors.NotImplemented(
            f"The query parameter '{unknown[0][:64]}' implies functionality that is not implemented.",
        )
    if route is not None:
        return route
    allowed = sorted({method for method, at in _VERBS if at is level})
    raise errors.MethodNotAllowed(
        headers=(("Allow", ", ".join(allowed)),),
        Method=request.method[:32],
        ResourceType=level.value,
    )
