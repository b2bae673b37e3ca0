"""A site as `causeway cp` speaks to it: plain S3, the direct API, and the block store behind presigned URLs.

    s3          boto3's client, which tries again by itself
    ask         one call of the direct API (hosts/direct_api.py), tried again: each is safe to repeat
    blocks      one block by URL, tried again while that may help; only where, and saying only what, is safe

Errors  NotOffered: the endpoint takes and gives every byte itself · Stopped: the copy was given up
        Unreached: the block store was never reached from here, or may not be: the endpoint may do instead
        Failure: UNREACHABLE, REFUSED; the message is the site's own words. A URL stands in none of them
Source  docs/direct.md
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import urllib3

from chalicelib.cli.admin_client import NOT_CAUSEWAY, AdminClient
from chalicelib.cli.cp_answer import Fields, nonsense, upload_headers
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.place import Place
from chalicelib.domain.endpoints import check_endpoint
from chalicelib.domain.filing import BLOCK_BYTES_MAX

PATH = "/causeway/direct/"
TRIES = 5
FIRST_TRIES = 2  # until the block store was reached once: it may not be for us at all
THREADS = 8  # blocks on their way at once
ANSWER_BYTES_MAX = BLOCK_BYTES_MAX + 1  # one more than a block has: too long shows
_CONNECT_S, _READ_S = 5.0, 60.0
_PAUSE_S = 0.2  # doubled from try to try
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # 409: another PUT of the block is under way
_NOT_OFFERED = frozenset({NOT_CAUSEWAY, "NotImplemented", "MethodNotAllowed"})
Moved = Callable[[int], None]  # told how many bytes more are through


class NotOffered(Exception):
    """Another S3 server, an older site, or one over a directory."""


class Stopped(Exception):
    """Whatever is under way ends."""


class Unreached(Failure):
    """The block store is for others than us: inside the site's network, or over plain http."""

    def __init__(self, message: str) -> None:
        super().__init__(Exit.UNREACHABLE, message, "BlockStoreUnreached")


class Blocks:
    """The block store of the site at `place`, by URL."""

    def __init__(self, place: Place, pause: Callable[[int], None]) -> None:
        trusted = ssl.create_default_context()
        if place.ca_bundle:
            trusted.load_verify_locations(place.ca_bundle)
        self._pause = pause
        self._site_is_here = _here(urlsplit(place.endpoint).netloc)
        self._reached = False
        self._pool = urllib3.PoolManager(
            maxsize=THREADS,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            ssl_context=trusted,
        )

    def put(self, url: str, headers: Any, body: bytes) -> bool:
        """File a block, with the headers that the site names; False if the URL is no longer good. What is
        there already stays, and counts: the site looks at it before it believes anything."""
        status, _ = self._ask("PUT", url, upload_headers(headers, len(body)), body)
        if status in (200, 412):
            return True
        if status == 403:
            return False
        raise Failure(Exit.REFUSED, f"the block store refused a block: {status}")

    def get(self, url: str) -> bytes | None:
        """A block; None if it is not to be had by this URL, as it was stored: whoever stored it may have said
        it was compressed."""
        try:
            status, body = self._ask("GET", url, {}, None)
        except Unreached:
            raise
        except Failure:
            return None
        return body if status == 200 else None

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        self._check(url)
        why = ""
        for tried in range(TRIES):
            if tried >= FIRST_TRIES and not self._reached:
                break
            try:
                status, got = self._once(method, url, headers, body)
            except urllib3.exceptions.HTTPError as problem:
                why = type(problem).__name__  # its text would show the URL
            else:
                self._reached = True
                if status not in _AGAIN:
                    return status, got
                why = str(status)
            self._pause(tried)
        message = f"the block store at {urlsplit(url).netloc} does not answer: {why}"
        raise Failure(Exit.UNREACHABLE, message) if self._reached else Unreached(message)

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        answer = self._pool.request(
            method,
            url,
            headers=headers,
            body=body,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        got = answer.read(ANSWER_BYTES_MAX)
        if len(got) < ANSWER_BYTES_MAX:
            answer.release_conn()  # all of it is read: good for another
        else:
            answer.close()
        return answer.status, got

    def _check(self, url: str) -> None:
        """A site may not send us, or our bytes, anywhere in clear; nor to what listens here for this machine
        alone, unless it is here itself."""
        try:
            if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
                raise ValueError("a URL has no such letters")  # parsers differ in what they mean
            parts = urlsplit(url)
            check_endpoint(f"{parts.scheme}://{parts.netloc}")
        except ValueError as problem:
            raise Unreached(f"the site names a block store that is not safe: {problem}") from None
        if _here(parts.netloc) and not self._site_is_here:
            told = f"the site names a block store on this machine, {parts.netloc}, and is not here itself"
            raise Unreached(told)


def _here(netloc: str) -> bool:
    """Whether it is this machine's loopback: the one place where plain http may go."""
    try:
        check_endpoint(f"http://{netloc}")
    except ValueError:
        return False
    return True


class Site:
    """Everything at one place; see the module."""

    def __init__(self, place: Place) -> None:
        self.stop = Event()
        self.s3 = _s3(place)
        self.blocks = Blocks(place, self.pause)
        self._client = AdminClient(place, PATH, connections=THREADS)

    def pause(self, tried: int) -> None:
        """Before another try; Stopped once nobody waits for it."""
        if self.stop.wait(_PAUSE_S * 2**tried):
            raise Stopped

    def ask(self, verb: str, **fields: Any) -> Fields:
        """One call of the direct API."""
        for tried in range(TRIES):
            try:
                return self._client.post(verb, **fields)
            except Failure as failure:
                if failure.code in _NOT_OFFERED:
                    raise NotOffered from None
                if failure.exit is not Exit.UNREACHABLE or tried == TRIES - 1:
                    raise
            except RecursionError:
                raise nonsense("JSON deeper than any answer is") from None
            self.pause(tried)
        raise AssertionError


def _s3(place: Place) -> Any:
    import boto3  # late: half a second that other commands need not wait for
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=place.endpoint,
        aws_access_key_id=place.access_key,
        aws_secret_access_key=place.secret_key,
        region_name=place.region,
        verify=place.ca_bundle or None,
        config=Config(
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            max_pool_connections=2 * THREADS,
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            s3={"addressing_style": "path"},
        ),
    )


@contextmanager
def told() -> Iterator[None]:
    """What boto3 raises, as a Failure."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as problem:
        raise refused(problem) from problem
    except (BotoCoreError, Boto3Error) as problem:
        raise Failure(Exit.UNREACHABLE, str(problem)) from problem
    except (ResponseParserError, ValueError, KeyError) as problem:  # a header that is none, or missing
        raise nonsense(f"{type(problem).__name__}: {problem}") from problem


def refused(problem: Any) -> Failure:
    """A ClientError of botocore, as a Failure."""
    error = problem.response.get("Error", {})
    status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", status))
    kind = Exit.UNREACHABLE if status >= 500 else Exit.REFUSED
    return Failure(kind, str(error.get("Message") or code), code)
