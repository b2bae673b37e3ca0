"""What a site answers `causeway cp`, looked at before anything is done by it: types, bounds, names.

A site may be anybody's. What it says decides what is written here, what is read into memory and what is sent
where, so nothing of it is used but through these functions.

    text, number, objects     one field
    block_size, part_blocks   of `begin`: how the body is cut
    upload_headers            what a PUT to the block store may say
    inline_bytes              of `read`: a small object's body

Errors  Failure(REFUSED): the site answered nonsense, and what
Source  docs/direct.md
"""

from __future__ import annotations

import base64
import re
from typing import Any

from chalicelib.cli.failure import Exit, Failure
from chalicelib.domain.filing import BLOCK_BYTES_MAX, PARTS_MAX

Fields = dict[str, Any]
NUMBER_MAX = 2**63 - 1
# What presigned PUTs are signed with (adapters/s3_blocks.py): the body's length, type and hashes, the
# condition that nothing lies there yet, and the store's own x-… headers. Anything else, a cookie, a
# credential, another host's name, would have us say for the site what it cannot, where only we reach.
PUT_HEADERS = frozenset({"content-length", "content-type", "content-md5", "if-none-match"})
PUT_HEADER_KINDS = re.compile(r"x-(amz|minio)-[a-z0-9-]+").fullmatch


def nonsense(told: str) -> Failure:
    """The site does not keep to the protocol."""
    return Failure(Exit.REFUSED, f"the site answered nonsense: {told}")


def text(fields: Fields, name: str) -> str:
    """A text, not an empty one."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise nonsense(f"`{name}` is not a text")
    return value


def number(fields: Fields, name: str, least: int = 0, most: int = NUMBER_MAX) -> int:
    """A whole number, `least` to `most`."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        bounds = f"a whole number, {least} to {most}" if least < most else str(least)
        raise nonsense(f"`{name}` is not {bounds}")
    return value


def objects(fields: Fields, name: str, count: int | None = None) -> list[Fields]:
    """A list of objects; of `count` ones, where it is known how many there must be."""
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise nonsense(f"`{name}` is not a list of objects")
    if count is not None and len(value) != count:
        raise nonsense(f"`{name}` has {len(value)} entries, not {count}")
    return value


def block_size(begun: Fields) -> int:
    """How long a block is: no longer than we are ready to hold."""
    return number(begun, "block_size", 1, BLOCK_BYTES_MAX)


def part_blocks(begun: Fields, size: int | None) -> int:
    """How many blocks make a part, for a body of `size` bytes if that is known. There is one right answer, so
    a site cannot have us hold more of the body at once than the protocol needs."""
    needed = max(1, -(-(size or 0) // (block_size(begun) * PARTS_MAX)))
    return number(begun, "part_blocks", needed, needed)


def upload_headers(headers: object, length: int) -> dict[str, str]:
    """The headers of a PUT of `length` bytes, if they are such as a block store's URL is signed with."""
    if not isinstance(headers, dict):
        raise nonsense("`headers` is not an object")
    taken: dict[str, str] = {}
    for given, value in headers.items():
        name = given.lower()
        if name not in PUT_HEADERS and not PUT_HEADER_KINDS(name):
            raise nonsense(f"no block store needs a header {given[:40]!r} from us")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or name in taken:
            raise nonsense(f"the header {name[:40]} is not one line of text")
        taken[name] = value
    # A shorter one would make the rest of the body a request of its own.
    if taken.get("content-length", str(length)) != str(length):
        raise nonsense(f"the header content-length is not {length}, as long as the block is")
    return taken


def inline_bytes(page: Fields) -> bytes:
    """The body of an object that lies in its record; empty if it has blocks."""
    if page.get("inline") is None:
        return b""
    value = page["inline"]
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except ValueError:
        raise nonsense("`inline` is not base64") from None
