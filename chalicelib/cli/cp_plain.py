"""`causeway cp` to an endpoint that takes every byte itself: S3's own multipart upload.

Not s3transfer's: that reads the source on a thread of its own, where Ctrl-C does not reach it.
Memory  PARTS + 1 parts: 32 MiB each; longer for files above 312 GiB, doubled every STREAM_STEP of a stream
Errors  Failure, after the upload was aborted
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from chalicelib.cli.cp_body import Rest
from chalicelib.cli.cp_names import Remote
from chalicelib.cli.cp_site import Moved, Site, told
from chalicelib.cli.failure import Failure
from chalicelib.domain.filing import PARTS_MAX

PART_BYTES = 32 * 1024 * 1024
PARTS = 2  # on their way at once, while the next is read
STREAM_STEP = 1000
_PART_BYTES_MAX = 5 * 1024**3
_DOUBLINGS_MAX = 7  # 4 GiB: all in all above S3's 5 TiB


def upload(
    site: Site, source: Rest, size: int | None, target: Remote, headers: dict[str, str], moved: Moved
) -> dict[str, Any]:
    """Copy `source`, of `size` bytes if that is known."""
    source.settled()
    at = {"Bucket": target.bucket, "Key": target.key}
    kind = {"ContentType": headers["content-type"]} if headers else {}
    first = source.read(_part_bytes(1, size))
    if len(first) < PART_BYTES:
        with told():
            etag = site.s3.put_object(**at, Body=first, **kind)["ETag"]
        moved(len(first))
    else:
        with told():
            at["UploadId"] = site.s3.create_multipart_upload(**at, **kind)["UploadId"]
        etag = _in_parts(site, source, size, at, first, moved)
    return {"etag": etag.strip('"'), "bytes": source.given, "blocks": 0, "direct": False}


def _in_parts(
    site: Site, source: Rest, size: int | None, at: dict[str, str], body: bytes, moved: Moved
) -> str:
    waiting: deque[Future[str]] = deque()
    etags: list[str] = []
    pool = ThreadPoolExecutor(PARTS, "part")

    def send(number: int, body: bytes) -> str:
        with told():
            etag: str = site.s3.upload_part(**at, PartNumber=number, Body=body)["ETag"]
        moved(len(body))
        return etag

    try:
        number = 1
        while body:
            while len(waiting) >= PARTS:
                etags.append(waiting.popleft().result())
            waiting.append(pool.submit(send, number, body))
            number += 1
            body = source.read(_part_bytes(number, size))
        etags.extend(one.result() for one in waiting)
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
        with told():
            answer = site.s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts})
        return str(answer["ETag"])
    except BaseException:  # Ctrl-C too
        pool.shutdown(wait=False, cancel_futures=True)
        with suppress(Failure), told():
            site.s3.abort_multipart_upload(**at)
        raise
    finally:
        pool.shutdown(wait=False)


def _part_bytes(number: int, size: int | None) -> int:
    if size is None:
        return PART_BYTES << min(number // STREAM_STEP, _DOUBLINGS_MAX)
    return min(max(PART_BYTES, -(-size // PARTS_MAX)), _PART_BYTES_MAX)
