"""The XML bodies clients send, read strictly: no DTD, no entities, no surprises.

In      a whole body, whose size the caller has capped (receive_small)
Out     LocationConstraint text, DeleteRequest, CompleteRequest
Units   at most 1,000 keys, 10,000 parts; 8 levels; elements counted
Errors  MalformedXML · MissingRequestBodyError · KeyTooLongError, InvalidRequest from values
Source  Amazon S3 API reference; CVE-2022-47950, billion laughs; reliability.md C8
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from chalicelib.s3 import checksums, errors
from chalicelib.s3.checksums import Algorithm
from chalicelib.s3.conditions import unquote_etag
from chalicelib.s3.names import PART_NUMBER_MAX, check_key

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DELETE_KEYS_MAX = 1000
# One XML body is never larger: 10,000 parts of 150 bytes, or 1,000 keys of 1 KiB percent-encoded.
XML_BYTES_MAX = 4 * 1024 * 1024
_DEPTH_MAX = 8
_ELEMENTS_MAX = 5 * PART_NUMBER_MAX
_PART_NUMBER = re.compile(r"[0-9]{1,5}").fullmatch


@dataclass(frozen=True, slots=True)
class KeyToDelete:
    """One key of DeleteObjects; `etag` (no quotes) makes it conditional."""

    key: str
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """The body of DeleteObjects."""

    keys: tuple[KeyToDelete, ...]
    quiet: bool


@dataclass(frozen=True, slots=True)
class PartToComplete:
    """One part named by CompleteMultipartUpload."""

    number: int
    etag: str
    checksum: tuple[Algorithm, bytes] | None = None


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """The body of CompleteMultipartUpload, in sent order; the order is the caller's to judge."""

    parts: tuple[PartToComplete, ...]


class _Element:
    __slots__ = ("children", "pieces", "tag")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.pieces: list[str] = []
        self.children: list[_Element] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def fields(self, allowed: frozenset[str]) -> dict[str, str]:
        """The children as name → text; each at most once, none with children of its own."""
        found: dict[str, str] = {}
        for child in self.children:
            if child.tag not in allowed or child.tag in found or child.children:
                raise errors.MalformedXML()
            found[child.tag] = child.text
        return found


class _Tree:
    """Builds elements, and gives up at once on a tree no S3 body has."""

    def __init__(self) -> None:
        self.root: _Element | None = None
        self._stack: list[_Element] = []
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag[0] == "{":
            namespace, _, tag = tag[1:].partition("}")
            if namespace != NAMESPACE:
                raise errors.MalformedXML()
        self._count += 1
        if len(self._stack) >= _DEPTH_MAX or self._count > _ELEMENTS_MAX:
            raise errors.MalformedXML()
        element = _Element(tag)
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self.root = element
        self._stack.append(element)

    def end(self, tag: str) -> None:
        self._stack.pop()

    def data(self, text: str) -> None:  # the name expat's target protocol wants
        self._stack[-1].pieces.append(text)

    def close(self) -> _Element | None:
        return self.root


def _parse(body: bytes, root_tag: str) -> _Element:
    if not body:
        raise errors.MissingRequestBodyError()
    if len(body) > XML_BYTES_MAX or b"\0" in body:  # NUL: UTF-16 and UTF-32 in disguise
        raise errors.MalformedXML()
    tree = _Tree()
    parser: Any = DefusedXMLParser(target=tree, encoding="utf-8", forbid_dtd=True)
    try:
        parser.feed(body)
        root: _Element | None = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise errors.MalformedXML() from None
    if root is None or root.tag != root_tag:
        raise errors.MalformedXML()
    return root


def read_location(body: bytes) -> str:
    """The LocationConstraint of CreateBucketConfiguration, "" if there is none."""
    if not body:
        return ""
    root = _parse(body, "CreateBucketConfiguration")
    for child in root.children:
        if child.tag in ("Location", "Bucket", "Tags"):
            raise errors.NotImplemented(
                f"CreateBucketConfiguration/{child.tag} asks for functionality that is not implemented."
            )
    return root.fields(frozenset({"LocationConstraint"})).get("LocationConstraint", "").strip()


_OBJECT = frozenset({"Key", "VersionId", "ETag"})


def read_delete(body: bytes) -> DeleteRequest:
    """The body of DeleteObjects: 1 … 1,000 keys."""
    root = _parse(body, "Delete")
    keys: list[KeyToDelete] = []
    quiet: str | None = None
    for child in root.children:
        if child.tag == "Quiet" and quiet is None and not child.children:
            quiet = child.text.strip().lower()
            if quiet not in ("true", "false"):
                raise errors.MalformedXML()
        elif child.tag == "Object" and len(keys) < DELETE_KEYS_MAX:
            fields = child.fields(_OBJECT)
            if not fields.get("Key"):
                raise errors.MalformedXML()
            etag = fields.get("ETag")
            keys.append(
                KeyToDelete(
                    check_key(fields["Key"]),
                    fields.get("VersionId") or None,
                    unquote_etag(etag) if etag is not None else None,
                )
            )
        else:
            raise errors.MalformedXML()
    if not keys:
        raise errors.MalformedXML()
    return DeleteRequest(tuple(keys), quiet == "true")


_CHECKSUM_TAGS = {f"Checksum{algorithm.value}": algorithm for algorithm in Algorithm}
_PART = frozenset({"PartNumber", "ETag", *_CHECKSUM_TAGS})


def read_complete(body: bytes) -> CompleteRequest:
    """The body of CompleteMultipartUpload: 1 … 10,000 parts."""
    root = _parse(body, "CompleteMultipartUpload")
    if not 1 <= len(root.children) <= PART_NUMBER_MAX:
        raise errors.MalformedXML()
    return CompleteRequest(tuple([_read_part(child) for child in root.children]))


def _read_part(element: _Element) -> PartToComplete:
    if element.tag != "Part":
        raise errors.MalformedXML()
    fields = element.fields(_PART)
    number = fields.get("PartNumber", "").strip()
    if not _PART_NUMBER(number) or "ETag" not in fields:
        raise errors.MalformedXML()
    if not 1 <= int(number) <= PART_NUMBER_MAX:
        raise errors.InvalidArgument(
            "PartNumber must be >= 1 and <= 10000", ArgumentName="PartNumber", ArgumentValue=number
        )
    declared = [tag for tag in fields if tag in _CHECKSUM_TAGS]
    if len(declared) > 1:
        raise errors.InvalidRequest("Expecting a single checksum for each part.")
    checksum = None
    if declared:
        algorithm = _CHECKSUM_TAGS[declared[0]]
        digest = checksums.decode(fields[declared[0]].strip(), algorithm.digest_bytes)
        if digest is None:
            raise errors.InvalidRequest(f"Value for {declared[0]} is invalid.")
        checksum = algorithm, digest
    return PartToComplete(int(number), unquote_etag(fields["ETag"]), checksum)
