"""Range headers: which bytes of an object a GET wants.

In      the header text and the object's size
Out     (first, last) inclusive, or None for the whole object
Units   byte offsets; last is inclusive, as in HTTP
Errors  InvalidRange: satisfiable by no byte · InvalidArgument: a bad x-amz-copy-source-range
Source  RFC 9110 §14; Amazon S3 serves one range and answers several with the whole object
"""

from __future__ import annotations

import re

from chalicelib.s3 import errors

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*").fullmatch
_COPY_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})").fullmatch


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes a Range header asks for of `size`; None means the whole object.

    What is not one well-formed byte range is ignored, as HTTP says.
    """
    match = _RANGE(header) if header else None
    if match is None or header is None:
        return None
    first_text, last_text = match.groups()
    if first_text:
        first = int(first_text)
        if last_text and int(last_text) < first:
            return None
        if first < size:
            return first, min(int(last_text), size - 1) if last_text else size - 1
    elif last_text:
        suffix = int(last_text)
        if suffix and size:
            return max(0, size - suffix), size - 1
    else:
        return None
    raise errors.InvalidRange(
        headers=(("Content-Range", f"bytes */{size}"),),
        ActualObjectSize=str(size),
        RangeRequested=header,
    )


def parse_copy_range(header: str | None) -> tuple[int, int] | None:
    """x-amz-copy-source-range: both ends are needed; the source's size is checked by the caller
    with check_copy_range."""
    if header is None:
        return None
    match = _COPY_RANGE(header)
    if match is None or int(match[2]) < int(match[1]):
        raise errors.InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    return int(match[1]), int(match[2])


def check_copy_range(span: tuple[int, int] | None, size: int) -> tuple[int, int] | None:
    """The span unchanged, or InvalidArgument if it does not lie within the source."""
    if span is not None and span[1] >= size:
        raise errors.InvalidArgument(
            f"Range specified is not valid for source object of size: {size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=f"bytes={span[0]}-{span[1]}",
        )
    return span


def content_range(span: tuple[int, int], size: int) -> str:
    """The Content-Range of a 206."""
    return f"bytes {span[0]}-{span[1]}/{size}"
