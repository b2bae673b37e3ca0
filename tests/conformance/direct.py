"""The contract of ports/direct.py, spoken over HTTP as clients speak it: urllib3 and nothing of ours.

class TestOnMinIO(DirectBlocksContract):
    @pytest.fixture
    def direct(self): …     the adapter
    @pytest.fixture
    def blocks(self): …     a BlockStore over the same place
"""

import time
import zlib
from base64 import b64encode
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.direct import DirectBlocks, Vouched
from tests.conformance.blocks import HOSTILE, block_id, ref

BODY = bytes(range(256)) * 1024
OTHER = bytes(reversed(BODY))
MINUTE_S = 60
COPY_REFUSED = (400, 403, 412)
REFUSED = (400, 403)  # a signed header that is not sent at all is 400 to MinIO


def digest(body):
    """SHA-256."""
    return sha256(body).digest()


def send(url, method="PUT", body=None, **headers):
    """Status of one request; `if_none_match=None` leaves a header out."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return urllib3.request(method, url, body=body, headers=named, retries=False, redirect=False)


class DirectBlocksContract:
    """Every promise of ports/direct.py."""

    @pytest.fixture
    def direct(self) -> DirectBlocks:
        raise NotImplementedError

    @pytest.fixture
    def blocks(self) -> BlockStore:
        raise NotImplementedError

    @pytest.fixture
    def name(self, request):
        """A block of this test's own."""
        return block_id(f"up-{digest(request.node.name.encode()).hex()[:20]}", "d0", 0)

    def put(self, direct, name, body=BODY, sent=None, **changed):
        """The presigned PUT of `body`, sending `sent` in its place, or other headers."""
        signed = direct.presign_put(name, len(body), digest(body), MINUTE_S)
        headers = {key.replace("-", "_"): value for key, value in signed.headers.items()}
        return send(signed.url, body=body if sent is None else sent, **{**headers, **changed}).status

    def test_there_and_back(self, direct, blocks, name):
        """What a client PUTs by URL is a block like any other, and comes back by URL."""
        assert 200 == self.put(direct, name)

        assert BODY == blocks.get(ref(name))
        answer = send(direct.presign_get(name, MINUTE_S).url, "GET")
        assert (200, BODY) == (answer.status, answer.data)

    def test_a_secret_shows_nowhere(self, direct, name):
        """A URL is a permission: it is not in what a log or a traceback would show."""
        for signed in (direct.presign_put(name, 1, digest(b"x"), 60), direct.presign_get(name, 60)):
            assert "Signature" in signed.url
            assert "Signature" not in repr(signed)

    @pytest.mark.parametrize("hostile", HOSTILE)
    def test_names_that_are_none(self, direct, hostile):
        """No URL leaves the place where blocks lie."""
        for bad in (block_id(hostile), block_id("up", hostile)):
            for ask in (
                lambda bad=bad: direct.presign_put(bad, 1, digest(b"x"), 60),
                lambda bad=bad: direct.presign_get(bad, 60),
                lambda bad=bad: direct.vouched(bad),
            ):
                with pytest.raises(ValueError, match="not an id"):
                    ask()


class DirectAttacks(DirectBlocksContract):
    """What whoever holds a URL may try; a store that checks signatures and hashes refuses all of it."""

    def test_the_store_vouches(self, direct, blocks, name):
        """For what came by URL and for what we wrote; nothing there is None."""
        assert direct.vouched(name) is None
        self.put(direct, name)
        ours = block_id(name.upload, "ours")
        blocks.put(ours, OTHER)

        assert Vouched(len(BODY), digest(BODY)) == direct.vouched(name)
        assert Vouched(len(OTHER), digest(OTHER)) == direct.vouched(ours)

    def test_other_bytes(self, direct, name):
        """Of the same length: the hash is signed, and the store checks it."""
        assert 400 == self.put(direct, name, sent=OTHER)
        assert direct.vouched(name) is None

    def test_another_hash(self, direct, name):
        """The header that was signed is the one to be sent."""
        forged = b64encode(digest(OTHER)).decode()

        assert 403 == self.put(direct, name, sent=OTHER, x_amz_checksum_sha256=forged)
        assert self.put(direct, name, sent=OTHER, x_amz_checksum_sha256=None) in REFUSED
        assert direct.vouched(name) is None

    @pytest.mark.parametrize("sent", [BODY + b"x", BODY[:-1], b""])
    def test_another_size(self, direct, name, sent):
        """Neither longer nor shorter, honestly announced or not."""
        assert self.put(direct, name, sent=sent, content_length=str(len(sent))) in REFUSED
        assert direct.vouched(name) is None

    def test_once_is_enough(self, direct, blocks, name):
        """A block that is filed is never written again, by the same URL or another for the same place."""
        self.put(direct, name)

        assert 412 == self.put(direct, name)
        assert 412 == self.put(direct, name, OTHER)
        assert self.put(direct, name, OTHER, if_none_match=None) in REFUSED
        assert BODY == blocks.get(ref(name))

    def test_another_place(self, direct, name):
        """A URL is for one block."""
        signed = direct.presign_put(name, len(BODY), digest(BODY), MINUTE_S)
        elsewhere = block_id(name.upload, "d0", 1)

        status = send(signed.url.replace("/d0/0?", "/d0/1?"), body=BODY, **_told(signed)).status

        assert 403 == status
        assert direct.vouched(elsewhere) is None

    def test_another_verb(self, direct, blocks, name):
        """A URL to read neither writes nor deletes, one to write does not read."""
        blocks.put(name, BODY)
        reading = direct.presign_get(name, MINUTE_S)
        writing = direct.presign_put(name, len(BODY), digest(BODY), MINUTE_S)

        assert 403 == send(reading.url, "DELETE").status
        assert 403 == send(reading.url, "PUT", OTHER).status
        assert 403 == send(writing.url, "GET", **_told(writing)).status
        assert 403 == send(writing.url, "DELETE", **_told(writing)).status
        assert BODY == blocks.get(ref(name))

    def test_no_copy(self, direct, blocks, name):
        """A header that nobody signed makes no copy of it: neither of what only its owner knows the name of,
        nor over what is filed there."""
        foreign = block_id(f"{name.upload}-x", "d0", 0)
        blocks.put(foreign, OTHER)
        place = urlsplit(direct.presign_get(foreign, MINUTE_S).url).path

        for _ in range(2):
            assert self.put(direct, name, x_amz_copy_source=place) in COPY_REFUSED
            assert self.put(direct, name, x_amz_copy_source=place, x_amz_copy_source_if_match=None) in REFUSED
            assert blocks.get(ref(name)) in (None, BODY)
            self.put(direct, name)

    @pytest.mark.parametrize(
        "extra",
        [
            {"x_amz_checksum_algorithm": "CRC32"},
            {"x_amz_checksum_type": "COMPOSITE"},
            {"x_amz_sdk_checksum_algorithm": "CRC32"},
            {"x_amz_checksum_crc32": "AAAAAA=="},
            {"x_amz_trailer": "x-amz-checksum-crc32"},
            {"x_minio_source_replication_request": "true"},
            {"content_encoding": "aws-chunked"},
            {"x_amz_storage_class": "REDUCED_REDUNDANCY"},
            {"x_amz_tagging": "a=b"},
        ],
        ids=lambda extra: next(iter(extra)),
    )
    def test_no_header_makes_other_bytes_true(self, direct, blocks, name, extra):
        """Whatever is sent besides, only the bytes that were announced get in."""
        assert self.put(direct, name, sent=OTHER, **extra) in REFUSED
        assert direct.vouched(name) is None
        blocks.put(name, BODY)
        assert self.put(direct, name, sent=OTHER, **extra) not in (200, 204)
        assert BODY == blocks.get(ref(name))

    @pytest.mark.parametrize(
        "extra",
        [
            {"x_amz_storage_class": "REDUCED_REDUNDANCY"},
            {"x_amz_tagging": "a=b"},
            {
                "x_minio_source_replication_request": "true",
                "x_minio_source_mtime": "2001-01-01T00:00:00Z",
            },
        ],
        ids=lambda extra: next(iter(extra)),
    )
    def test_no_header_makes_another_block_of_it(self, direct, name, extra):
        """The right bytes, but in a poorer class, tagged for somebody's rules, or as a replica of old."""
        assert self.put(direct, name, **extra) in REFUSED
        assert direct.vouched(name) is None

    def test_an_access_key_is_no_permission(self, direct, blocks, name):
        """Every URL shows one. MinIO verifies nothing of such a PUT; only a policy stands in its way."""
        blocks.put(name, BODY)
        url = urlsplit(direct.presign_get(name, MINUTE_S).url)
        credential = parse_qs(url.query)["X-Amz-Credential"][0]
        check = b64encode(zlib.crc32(b"evil").to_bytes(4)).decode()
        answer = send(
            f"{url.scheme}://{url.netloc}{url.path}?X-Amz-Credential={credential}",
            body=f"4\r\nevil\r\n0\r\nx-amz-checksum-crc32:{check}\r\n\r\n".encode(),
            x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            x_amz_decoded_content_length="4",
            x_amz_trailer="x-amz-checksum-crc32",
            content_encoding="aws-chunked",
        )

        assert 403 == answer.status
        assert direct.refuses_unsigned()
        assert BODY == blocks.get(ref(name))

    def test_expired(self, direct, name):
        """After its time a URL opens nothing."""
        signed = direct.presign_put(name, len(BODY), digest(BODY), 1)
        time.sleep(2.1)

        assert 403 == send(signed.url, body=BODY, **_told(signed)).status
        assert direct.vouched(name) is None

    def test_a_longer_time(self, direct, name):
        """Nor can it be given a longer one."""
        signed = direct.presign_put(name, len(BODY), digest(BODY), 60)

        status = send(signed.url.replace("Expires=60", "Expires=6000"), body=BODY, **_told(signed)).status

        assert 403 == status


def _told(signed):
    return {key.replace("-", "_"): value for key, value in signed.headers.items()}
