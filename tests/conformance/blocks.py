"""The contract of ports/blocks.py. An adapter passes it by overriding the `blocks` fixture.

class TestMemoryBlocks(BlockStoreContract):
    @pytest.fixture
    def blocks(self):
        return MemoryBlocks()

The fixture must give an empty store; every test makes its own uploads in it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.domain.manifest import BLOCK_SIZE, Block, BlockId, BlockRef
from chalicelib.ports.blocks import BlockStore

FOUR_MIB = bytes(range(256)) * (BLOCK_SIZE // 256)
HOSTILE = ["", ".", "..", "../up", "a/b", "/etc", "a\\b", "a\0b", "a b", "ü", "a\n", "x" * 129, "~", "%2e"]
HOSTILE_DOCUMENTS = [
    "",
    "manifests",
    "manifests/",
    "other/a",
    "/manifests/a",
    "manifests/../blocks",
    "manifests/a/..",
    "manifests/./a",
    "manifests//a",
    "manifests/a/",
    "manifests/a b",
    "manifests/ü",
    "manifests/a\n",
    "manifests/a\0",
    "manifests/1/2/3/4/5/6/7",
]


def block_id(upload: str = "0192f3a4b5c6aa", attempt: str = "0", number: int = 0) -> BlockId:
    """A block's name."""
    return BlockId(upload, attempt, number)


def ref(name: BlockId, size: int = 1) -> BlockRef:
    """A reference to a block; adapters look at the name only."""
    return BlockRef(name, Block(size, bytes(32), bytes(16)), "west")


def file_all(blocks: BlockStore, names: list[BlockId], body: bytes = b"x", writers: int = 8) -> None:
    """Put many blocks, several at a time."""
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(lambda name: blocks.put(name, body), names))


class BlockStoreContract:
    """Every promise of ports/blocks.py."""

    many = 1_001  # one more than S3 lists or deletes at once
    writers = 8  # at once

    @pytest.fixture
    def blocks(self) -> BlockStore:
        """An empty store."""
        raise NotImplementedError

    @pytest.mark.parametrize("body", [b"x", b"\0" * 1000, FOUR_MIB], ids=["1 B", "zeros", "4 MiB"])
    def test_get_returns_exactly_what_was_put(self, blocks, body):
        """A block of any size comes back byte for byte."""
        blocks.put(block_id(), body)

        assert body == blocks.get(ref(block_id(), len(body)))

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_put_takes_any_buffer(self, blocks, kind):
        """bytes, bytearray and memoryview are filed alike."""
        blocks.put(block_id(), kind(b"some bytes"))

        assert b"some bytes" == blocks.get(ref(block_id()))

    def test_the_buffer_is_the_callers_again(self, blocks):
        """Changing the buffer after put does not change the block."""
        buffer = bytearray(b"before")

        blocks.put(block_id(), memoryview(buffer))
        buffer[:] = b"after!"

        assert b"before" == blocks.get(ref(block_id()))

    def test_get_of_nothing_is_none(self, blocks):
        """A block that was never put is None, in a known upload and in an unknown one."""
        blocks.put(block_id(number=1), b"x")

        assert blocks.get(ref(block_id(number=2))) is None
        assert blocks.get(ref(block_id(attempt="1", number=1))) is None
        assert blocks.get(ref(block_id(upload="unknown"))) is None

    def test_put_twice_leaves_one_block(self, blocks):
        """The same block may be put again with the same bytes."""
        blocks.put(block_id(), b"same")
        blocks.put(block_id(), b"same")

        assert [(block_id(), 4)] == list(blocks.list_upload(block_id().upload))
        assert b"same" == blocks.get(ref(block_id()))

    def test_put_repairs(self, blocks):
        """Putting a block again replaces what is there: a damaged copy is healed so."""
        blocks.put(block_id(), b"damaged, and longer")

        blocks.put(block_id(), b"right")

        assert b"right" == blocks.get(ref(block_id()))

    def test_concurrent_puts_of_one_block(self, blocks):
        """Eight writers of the same block at once all succeed and leave one whole block."""
        body = FOUR_MIB[: 256 * 1024]

        file_all(blocks, [block_id()] * 16, body, self.writers)

        assert [(block_id(), len(body))] == list(blocks.list_upload(block_id().upload))
        assert body == blocks.get(ref(block_id()))

    def test_concurrent_first_blocks_of_one_upload(self, blocks):
        """Eight writers that begin one upload together all succeed."""
        names = [block_id(number=number) for number in range(8)]

        file_all(blocks, names, writers=self.writers)

        assert names == sorted((n for n, _ in blocks.list_upload(block_id().upload)), key=_number)

    def test_names_do_not_run_together(self, blocks):
        """Uploads, attempts and numbers that look alike name different blocks."""
        names = [
            block_id("a", "1", 11),
            block_id("a", "11", 1),
            block_id("a", "1-1", 1),
            block_id("a", "1", 1),
            block_id("a-1", "1", 1),
            block_id("a", "A", 1),
            block_id("A", "a", 1),
            block_id("a", "index", 0),
            block_id("a.b", "..c", 999_999_999),
            block_id("x" * 128, "y" * 128, 0),
        ]

        for name in names:
            blocks.put(name, repr(name).encode())

        assert [repr(name).encode() for name in names] == [blocks.get(ref(n)) for n in names]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_ids_are_refused(self, blocks, text):
        """Only tokens of A-Z a-z 0-9 _ . - may become steps of a path: anything else is ValueError."""
        for name in (block_id(upload=text), block_id(attempt=text)):
            for verb in _verbs_of_a_block(blocks, name):
                with pytest.raises(ValueError):
                    verb()
        with pytest.raises(ValueError):
            blocks.delete_upload(text)
        with pytest.raises(ValueError):
            list(blocks.list_upload(text))

    @pytest.mark.parametrize("number", [-1, 10**9, 10**30])
    def test_hostile_numbers_are_refused(self, blocks, number):
        """A block's number is 0 … 999,999,999."""
        for verb in _verbs_of_a_block(blocks, block_id(number=number)):
            with pytest.raises(ValueError):
                verb()

    def test_link_files_the_same_bytes(self, blocks):
        """A linked block reads as its source."""
        blocks.put(block_id("one"), b"bytes")

        assert blocks.link(block_id("one"), block_id("two", "p", 3)) is True

        assert b"bytes" == blocks.get(ref(block_id("two", "p", 3)))
        assert [(block_id("two", "p", 3), 5)] == list(blocks.list_upload("two"))

    def test_link_outlives_its_source(self, blocks):
        """Deleting the source's upload leaves the link, and the other way round."""
        blocks.put(block_id("one"), b"bytes")
        blocks.link(block_id("one"), block_id("two"))
        blocks.link(block_id("two"), block_id("three"))

        blocks.delete_upload("one")
        blocks.delete(block_id("three"))

        assert blocks.get(ref(block_id("one"))) is None
        assert b"bytes" == blocks.get(ref(block_id("two")))

    def test_link_twice(self, blocks):
        """The same link may be made again, and leaves one block."""
        blocks.put(block_id("one"), b"bytes")

        assert [True, True] == [blocks.link(block_id("one"), block_id("two")) for _ in range(2)]

        assert [(block_id("two"), 5)] == list(blocks.list_upload("two"))

    def test_link_replaces_what_is_there(self, blocks):
        """A link over another block heals it, as put does, and does not touch a third name of it."""
        blocks.put(block_id("one"), b"right")
        blocks.put(block_id("two"), b"wrong")

        blocks.link(block_id("one"), block_id("two"))

        assert b"right" == blocks.get(ref(block_id("two")))

    def test_put_over_a_link_leaves_the_source(self, blocks):
        """Two names never share later writes."""
        blocks.put(block_id("one"), b"one")
        blocks.link(block_id("one"), block_id("two"))

        blocks.put(block_id("two"), b"two")

        assert b"one" == blocks.get(ref(block_id("one")))

    def test_link_of_nothing_is_false(self, blocks):
        """Without a source nothing is filed."""
        assert blocks.link(block_id("one"), block_id("two")) is False

        assert blocks.get(ref(block_id("two"))) is None
        assert [] == list(blocks.uploads())

    def test_delete_removes_one_block(self, blocks):
        """Its neighbours stay; deleting it again is no error."""
        file_all(blocks, [block_id(number=n) for n in (0, 1)], writers=self.writers)

        blocks.delete(block_id(number=0))
        blocks.delete(block_id(number=0))

        assert [(block_id(number=1), 1)] == list(blocks.list_upload(block_id().upload))

    def test_delete_of_nothing(self, blocks):
        """Deleting a block of an unknown upload is no error."""
        blocks.delete(block_id("unknown"))

        assert [] == list(blocks.uploads())

    def test_delete_upload_removes_all_of_it_and_nothing_else(self, blocks):
        """Every attempt goes; uploads whose ids begin alike stay."""
        file_all(
            blocks,
            [block_id("up", attempt, n) for attempt in ("0", "a", "index") for n in (0, 1)],
            writers=self.writers,
        )
        blocks.put(block_id("up2"), b"x")
        blocks.put(block_id("u"), b"x")

        blocks.delete_upload("up")

        assert [] == list(blocks.list_upload("up"))
        assert ["u", "up2"] == sorted(blocks.uploads())

    def test_delete_upload_of_nothing(self, blocks):
        """Removing none is no error, nor is removing them again."""
        blocks.put(block_id("up"), b"x")

        blocks.delete_upload("unknown")
        blocks.delete_upload("up")
        blocks.delete_upload("up")

        assert [] == list(blocks.uploads())

    def test_an_upload_may_begin_again(self, blocks):
        """A block put after delete_upload is there."""
        blocks.put(block_id(), b"first")
        blocks.delete_upload(block_id().upload)

        blocks.put(block_id(), b"second")

        assert b"second" == blocks.get(ref(block_id()))

    def test_more_blocks_than_a_page(self, blocks):
        """Uploads longer than the store's pages are listed whole and removed whole."""
        names = [block_id(number=number) for number in range(self.many)]
        file_all(blocks, names, writers=self.writers)

        listed = sorted(blocks.list_upload(block_id().upload), key=lambda found: found[0].number)
        blocks.delete_upload(block_id().upload)

        assert [(name, 1) for name in names] == listed
        assert [] == list(blocks.list_upload(block_id().upload))

    def test_list_upload_tells_names_and_sizes(self, blocks):
        """Every attempt's blocks are listed with their sizes, and no other upload's."""
        filed = {block_id("up", "0", 0): 1, block_id("up", "b-2", 10): 300, block_id("up", "b.2", 7): 2}
        for name, size in filed.items():
            blocks.put(name, b"x" * size)
        blocks.put(block_id("upper"), b"x")

        assert filed == dict(blocks.list_upload("up"))

    def test_list_upload_of_nothing(self, blocks):
        """An unknown upload has no blocks."""
        assert [] == list(blocks.list_upload("unknown"))

    def test_uploads_names_each_upload_once(self, blocks):
        """Every upload with a block is named once, however many blocks it has; an emptied one is not."""
        names = [f"upload-{n}" for n in range(20)]
        file_all(blocks, [block_id(upload, "0", n) for upload in names for n in (0, 1)], writers=self.writers)
        blocks.put(block_id("emptied"), b"x")
        blocks.delete(block_id("emptied"))
        blocks.put_document("manifests/a", b"no upload")

        assert sorted(names) == sorted(blocks.uploads())

    @pytest.mark.parametrize(
        "name",
        [
            "manifests/a",
            "manifests/0123456789abcdef0123456789abcdef/0192f3a4b5c6-0003-west/0192f3a4b5c7-0000-east",
            "manifests/.hidden/...",
            "manifests/manifests/blocks/tmp",
            "manifests/-/_/" + "x" * 128,
            "manifests/1/2/3/4/5/6",
        ],
    )
    def test_document_round_trip(self, blocks, name):
        """A document is there once written, replaced when written again, gone when deleted."""
        before = blocks.get_document(name)
        blocks.put_document(name, b"first")
        first = blocks.get_document(name)
        blocks.put_document(name, b"second \0 \xff")
        second = blocks.get_document(name)
        blocks.delete_document(name)
        blocks.delete_document(name)

        assert [None, b"first", b"second \0 \xff", None] == [before, first, second, blocks.get_document(name)]

    def test_documents_are_apart_from_blocks(self, blocks):
        """Removing every upload leaves documents, and documents beside each other do not mix."""
        blocks.put_document("manifests/up/0/0", b"one")
        blocks.put_document("manifests/up/0/1", b"")
        blocks.put(block_id("up"), b"x")

        blocks.delete_upload("up")

        assert b"one" == blocks.get_document("manifests/up/0/0")
        assert b"" == blocks.get_document("manifests/up/0/1")

    @pytest.mark.parametrize("name", HOSTILE_DOCUMENTS)
    def test_hostile_document_names_are_refused(self, blocks, name):
        """Only `manifests/` and tokens name a document: anything else is ValueError."""
        verbs = [
            lambda: blocks.put_document(name, b"x"),
            lambda: blocks.get_document(name),
            lambda: blocks.delete_document(name),
        ]

        for verb in verbs:
            with pytest.raises(ValueError):
                verb()


def _verbs_of_a_block(blocks: BlockStore, name: BlockId) -> Iterator:
    """Every way to name a block."""
    yield lambda: blocks.put(name, b"x")
    yield lambda: blocks.get(ref(name))
    yield lambda: blocks.link(name, block_id())
    yield lambda: blocks.link(block_id(), name)
    yield lambda: blocks.delete(name)


def _number(name: BlockId) -> int:
    return name.number
