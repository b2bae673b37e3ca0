"""`causeway cp` and somebody else's site: nothing is written, sent or held that was not agreed on."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli import cp_answer, cp_site
from chalicelib.cli.cp_body import Rest
from chalicelib.cli.cp_down import Receiving
from chalicelib.cli.cp_names import Remote
from chalicelib.cli.cp_site import Blocks, Site, Unreached, told
from chalicelib.cli.cp_up import Sending, upload
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.place import Place, make
from chalicelib.settings import Settings
from tests.command import NO, OK, REFUSED, Ran, run

BLOCK = b"z" * 1000
LARGE = b"q" * 5_000_001
Fields = dict[str, Any]
OBJECT = Remote("bucket", "k")


class Somebody:
    """A site and its block store; each answer is as the protocol wants it until a test says otherwise."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, dict[str, str], int]] = []
        self.asked: list[str] = []
        self.given: Callable[[str, Fields], bytes] | None = None
        self.inner: dict[str, Fields] = {}
        self.ranged: Callable[[], tuple[dict[str, str], bytes]] = lambda: ({"etag": '"e"'}, BLOCK)
        here = self

        class Handler(BaseHTTPRequestHandler):
            """Hands over."""

            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._answer(200, {}, here.answer(self.path.rpartition("/")[2], fields))

            def do_PUT(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                self.rfile.read(length)
                here.puts.append((self.path, dict(self.headers), length))
                self._answer(200, {}, b"")

            def do_GET(self) -> None:
                headers, body = ({}, BLOCK) if self.path == "/block" else here.ranged()
                self._answer(200, headers, body)

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in ({"content-length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nobody looks."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, verb: str, fields: Fields) -> bytes:
        self.asked.append(verb)
        made = getattr(self, f"_{verb}")(fields) | self.inner.get(verb, {})
        return self.given(verb, fields) if self.given else json.dumps(made).encode()

    def _begin(self, fields: Fields) -> Fields:
        return {"upload": "u", "block_size": 1 << 20, "part_blocks": 1}

    def _urls(self, fields: Fields) -> Fields:
        return {
            "parts": [
                {"urls": [self.url(block["size"]) for block in part["blocks"]]} for part in fields["parts"]
            ]
        }

    def url(self, length: int) -> Fields:
        return {"url": f"{self.endpoint}/put", "headers": {"content-length": str(length)}}

    def _verify(self, fields: Fields) -> Fields:
        return {"parts": [{"number": part["number"], "etag": "e"} for part in fields["parts"]]}

    def _commit(self, fields: Fields) -> Fields:
        return {"etag": "e", "size": len(LARGE)}

    def _abort(self, fields: Fields) -> Fields:
        return {}

    def _read(self, fields: Fields) -> Fields:
        page = {"size": len(BLOCK), "etag": "e", "version": "v", "inline": None, "next": None}
        return page | {"blocks": [self.block()]}

    def block(self, offset: int = 0, **others: Any) -> Fields:
        true = {
            "algorithm": "SHA256",
            "hash": hashlib.sha256(BLOCK).hexdigest(),
            "url": f"{self.endpoint}/block",
        }
        return {"offset": offset, "size": len(BLOCK), "start": 0, "end": len(BLOCK), **true, **others}

    @property
    def place(self) -> Place:
        return make(self.endpoint, "AK", "SK")

    def cp(self, *words: object) -> Ran:
        """The command, pointed here."""
        keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"}
        return run("cp", *words, "--json", AWS_ENDPOINT_URL=self.endpoint, **keys)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Somebody]:
    monkeypatch.setattr(cp_site, "_PAUSE_S", 0.001)
    made = Somebody()
    serving = threading.Thread(target=made.server.serve_forever, daemon=True)
    serving.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    serving.join()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return path


def refused(ran: Ran) -> str:
    """The message of a command whose site was told off; never a mistake of ours."""
    assert ran.exit == REFUSED and ran.json["error"] == "Refused", ran
    return str(ran.json["message"])


def test_a_site_that_keeps_to_it(site: Somebody, large: Path, tmp_path: Path) -> None:
    """Or the tests below would prove nothing."""
    up = site.cp(large, "s3://bucket/k")
    assert (up.exit, up.json["bytes"], up.json["blocks"]) == (OK, len(LARGE), 5), up
    assert sum(length for _, _, length in site.puts) == len(LARGE)
    down = site.cp("s3://bucket/k", tmp_path / "down")
    assert down.exit == OK and (tmp_path / "down").read_bytes() == BLOCK


# --------------------------------------------------------------------------------------- download


@pytest.mark.parametrize("blocks", [2, 500])
def test_never_more_than_announced(site: Somebody, tmp_path: Path, blocks: int) -> None:
    """Blocks that go on after the object's end, as many as the site likes, of one page or of the next."""
    site.inner["read"] = {"blocks": [site.block(n * len(BLOCK)) for n in range(blocks)]}
    assert "1000 bytes, and more" in refused(site.cp("s3://bucket/k", tmp_path / "k"))
    assert not list(tmp_path.iterdir())
    got = BytesIO()
    with pytest.raises(Failure):
        Receiving(Site(site.place), OBJECT, ranged=False).give(got, lambda more: None)
    assert len(got.getvalue()) <= len(BLOCK)


def test_an_inline_body_longer_than_announced(site: Somebody) -> None:
    """It lies in the answer itself."""
    body = base64.b64encode(BLOCK).decode()
    site.inner["read"] = {"size": 10, "inline": body, "blocks": []}
    got = BytesIO()
    with pytest.raises(Failure, match="10 bytes, and more"):
        Receiving(Site(site.place), OBJECT, ranged=False).give(got, lambda more: None)
    assert not got.getvalue()


@pytest.mark.parametrize(
    "page", [{"blocks": [], "next": 0}, {"next": 5}, {"next": 0}, {"next": 10**30}, {"next": "1000"}], ids=str
)
def test_pages_without_end(site: Somebody, tmp_path: Path, page: Fields) -> None:
    """The next page begins where this one ended, further on, or there is none."""
    site.inner["read"] = {"size": 10**12} | page
    refused(site.cp("s3://bucket/k", tmp_path / "k"))
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "block",
    [
        {"offset": 1}, {"offset": -1}, {"offset": "0"}, {"offset": None}, {"offset": True}, {"size": "x"},
        {"size": 10**12, "end": 10**12}, {"size": 0}, {"start": -5}, {"start": 1000},
        {"start": 900, "end": 5}, {"end": 2000}, {"end": 0}, {"end": 1.5}, {"algorithm": 5},
        {"algorithm": None}, {"hash": []}, {"hash": None}, {"url": 5}, {"url": ["http"]}, {"url": ""},
    ],
    ids=str,
)  # fmt: skip
def test_blocks_that_are_none(site: Somebody, tmp_path: Path, block: Fields) -> None:
    """Wrong types, wrong places, more than anybody would hold: the site's fault, never ours."""
    site.inner["read"] = {"size": 10**12, "blocks": [site.block(**block)]}
    assert "nonsense" in refused(site.cp("s3://bucket/k", tmp_path / "k"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "page",
    [
        {"size": "x"}, {"size": -1}, {"size": None}, {"size": 2.5}, {"size": True}, {"etag": 5}, {"etag": ""},
        {"version": None}, {"inline": 5}, {"inline": "!"}, {"inline": ["x"]}, {"inline": "abc"},
        {"blocks": None}, {"blocks": {}}, {"blocks": [1]}, {"blocks": [{}]}, {"next": "x"}, {"next": []},
    ],
    ids=str,
)  # fmt: skip
def test_answers_that_are_none(site: Somebody, tmp_path: Path, page: Fields) -> None:
    """To `read`."""
    site.inner["read"] = page
    assert "nonsense" in refused(site.cp("s3://bucket/k", tmp_path / "k"))


def test_json_without_a_floor(site: Somebody, large: Path) -> None:
    """Deeper than the parser goes."""
    site.given = lambda verb, fields: b'{"upload":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    assert "nonsense" in refused(site.cp(large, "s3://bucket/k"))


def test_a_fresh_page_without_the_block(site: Somebody, tmp_path: Path) -> None:
    """The first URL gave other bytes, and then there is no other: the endpoint gives what it has."""
    site.inner["read"] = {"blocks": [site.block(hash="0" * 64)]}
    pages = iter([site.answer("read", {}), json.dumps({"blocks": []}).encode()])
    site.given = lambda verb, fields: next(pages)
    ran = site.cp("s3://bucket/k", tmp_path / "k")
    assert ran.exit == NO and "otherwise than their record" in ran.json["message"]


def test_a_range_longer_than_asked(site: Somebody, tmp_path: Path) -> None:
    """The endpoint may say what it likes of its length: no more is read than was asked for, and one byte."""
    site.inner["read"] = {"blocks": [site.block(url=None)]}
    site.ranged = lambda: ({"etag": '"e"'}, BLOCK * 2)
    assert "more than the 1000 bytes" in refused(site.cp("s3://bucket/k", tmp_path / "k"))


@pytest.mark.parametrize("headers", [{}, {"etag": '"e"', "last-modified": "never"}], ids=["etag", "date"])
def test_s3_answers_that_are_none(site: Somebody, tmp_path: Path, headers: dict[str, str]) -> None:
    """From an endpoint that has no direct API: a header that is missing, one that is no date."""
    site.given = lambda verb, fields: b"<html/>"
    site.ranged = lambda: (headers, BLOCK)
    assert "nonsense" in refused(site.cp("s3://bucket/k", tmp_path / "k"))


# ----------------------------------------------------------------------------------------- upload


@pytest.mark.parametrize(
    "begun",
    [
        {"block_size": 0}, {"block_size": -1}, {"block_size": cp_answer.BLOCK_BYTES_MAX + 1},
        {"block_size": "4"}, {"block_size": None}, {"block_size": True}, {"block_size": 1},
        {"part_blocks": 0}, {"part_blocks": -1}, {"part_blocks": 2}, {"part_blocks": 10**9},
        {"part_blocks": "1"}, {"upload": 5}, {"upload": None},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_is_cut_as_nobody_would(site: Somebody, large: Path, begun: Fields) -> None:
    """Not to nothing, which would be called sent, and not so that memory holds all of it."""
    site.inner["begin"] = begun
    assert "nonsense" in refused(site.cp(large, "s3://bucket/k"))
    assert site.asked == ["begin"] and not site.puts


def test_the_largest_block_is_a_site_s() -> None:
    """What settings allow, and no more."""
    parse = Settings.__dataclass_fields__["block_size"].metadata["parse"]
    assert parse(str(cp_answer.BLOCK_BYTES_MAX)) == cp_answer.BLOCK_BYTES_MAX
    with pytest.raises(ValueError, match="size"):
        parse(str(cp_answer.BLOCK_BYTES_MAX + 1))


def test_parts_of_a_body_that_needs_long_ones() -> None:
    """As many blocks as 10,000 parts need, and for a stream one."""
    begun = {"block_size": 1 << 20, "part_blocks": 3}
    assert cp_answer.part_blocks(begun, 3 * 10_000 << 20) == 3
    for size in (None, 0, 2 * 10_000 << 20, (3 * 10_000 << 20) + 1):
        with pytest.raises(Failure):
            cp_answer.part_blocks(begun, size)


@pytest.mark.parametrize("size", [0, len(LARGE) - 1, len(LARGE) + 1])
def test_what_was_committed_is_what_was_sent(site: Somebody, large: Path, size: int) -> None:
    """Or it was not copied, whatever the site calls it."""
    site.inner["commit"] = {"size": size}
    assert f"{len(LARGE)} bytes were sent, and the site says it holds {size}" in refused(
        site.cp(large, "s3://bbb/k")
    )


@pytest.mark.parametrize("more", [-1, 1])
def test_a_file_written_meanwhile(site: Somebody, more: int) -> None:
    """It had another length when it was looked at: aborted, and said."""
    begun = {"upload": "u", "block_size": 1 << 20, "part_blocks": 1}
    sending = Sending(Site(site.place), OBJECT, begun, len(LARGE) + more, lambda more: None)
    with pytest.raises(Failure, match="written meanwhile") as failed:
        sending.send(Rest(b"", BytesIO(LARGE)))
    assert failed.value.exit == Exit.NO and site.asked[-1] == "abort" and "commit" not in site.asked


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("urls", {"parts": None}), ("urls", {"parts": []}), ("urls", {"parts": [{}] * 5}),
        ("urls", {"parts": [{"urls": [{"url": 5, "headers": {}}]}] * 5}),
        ("urls", {"parts": [{"urls": []}] * 5}),
        ("verify", {"parts": []}), ("verify", {"parts": [1] * 5}),
        ("verify", {"parts": [{"etag": None}] * 5}),
        ("commit", {"etag": 5}), ("commit", {"size": "5000001"}), ("commit", {"size": None}),
    ],
    ids=str,
)  # fmt: skip
def test_answers_that_are_none_to_an_upload(site: Somebody, large: Path, verb: str, answer: Fields) -> None:
    """Too few, too many, of other types."""
    site.inner[verb] = answer
    assert "nonsense" in refused(site.cp(large, "s3://bucket/k"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic x"}, {"cookie": "a=b"}, {"Host": "metadata"}, {"connection": "close"},
        {"transfer-encoding": "chunked"}, {"X-Any": "thing"}, {"content-length": "5"}, {"x-amz-": ""},
        {"x-amz-meta-a": "b\r\nx: y"}, {"x-amz-a b": "c"}, {"x-amz-meta-a": 5}, {"x-amz-meta-a": "ä"},
        {"X-Amz-A": "1", "x-amz-a": "2"}, [], None, "x",
    ],
    ids=str,
)  # fmt: skip
def test_headers_no_block_store_needs(
    site: Somebody, large: Path, monkeypatch: pytest.MonkeyPatch, headers: Any
) -> None:
    """A PUT of ours says nothing for the site but what a block's URL is signed with."""
    monkeypatch.setattr(site, "url", lambda length: {"url": f"{site.endpoint}/put", "headers": headers})
    assert "nonsense" in refused(site.cp(large, "s3://bucket/k"))
    assert not site.puts and site.asked[-1] == "abort"


def test_headers_a_block_store_is_signed_with() -> None:
    """Those of S3Direct, in any case of letters, go as they stand."""
    signed = {
        "Content-Length": "5", "Content-Type": "a/b", "Content-MD5": "x==", "If-None-Match": "*",
        "x-amz-checksum-sha256": "x=", "x-amz-copy-source-if-match": "none", "x-amz-tagging": "",
        "x-minio-source-replication-request": "false",
    }  # fmt: skip
    assert cp_answer.upload_headers(signed, 5) == {name.lower(): value for name, value in signed.items()}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/x", "http://localhost:{port}/x", "https://[::1]:{port}/x"]
)
def test_a_far_site_does_not_reach_this_machine(site: Somebody, url: str) -> None:
    """What listens on loopback listens for us: only a site that is there too names it."""
    named = url.format(port=site.server.server_port)
    far = Blocks(make("https://site.example", "AK", "SK"), lambda tried: None)
    for use in (lambda: far.put(named, {}, BLOCK), lambda: far.get(named)):
        with pytest.raises(Unreached, match="on this machine"):
            use()
    assert not site.puts
    assert Blocks(site.place, lambda tried: None).put(f"{site.endpoint}/x", {}, BLOCK)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/x", "http://a@127.0.0.1/x", "ftp://127.0.0.1/x", "file:///x", "http://[", "https:///x",
        "http://127.0.0.1\\@192.0.2.1/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nx", "http://127.0.0.1/ä",
    ],
)  # fmt: skip
def test_nowhere_safe(site: Somebody, url: str) -> None:
    """Wherever the site is."""
    for place in (site.place, make("https://site.example", "AK", "SK")):
        with pytest.raises(Unreached, match="not safe"):
            Blocks(place, lambda tried: None).put(url, {}, BLOCK)


def test_a_small_body_s_etag(site: Somebody) -> None:
    """PutObject's answer without one."""
    with pytest.raises(Failure, match="nonsense") as failed:
        upload(Site(site.place), BytesIO(b"x"), 1, OBJECT, {}, lambda more: None)
    assert failed.value.exit == Exit.REFUSED


def test_a_mistake_of_ours_is_not_the_site_s() -> None:
    """Only what reading an answer raises is."""
    with pytest.raises(AttributeError), told():
        raise AttributeError("x")
