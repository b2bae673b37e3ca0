"""Hypothesis strategies for the values of chalicelib.domain."""

from hypothesis import strategies as st

from chalicelib.domain.account import Bucket, BucketState, User
from chalicelib.domain.manifest import Block, Checksum, HashAlgorithm, Part, Record
from chalicelib.domain.stamp import COUNTER_MAX, Stamp
from chalicelib.domain.upload import PartAttempt, Upload, UploadState

sites = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
times = st.integers(0, 2**47)
stamps = st.builds(Stamp, times, st.integers(0, COUNTER_MAX), sites)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
object_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
tokens = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
pairs = st.lists(st.tuples(words, words), max_size=3).map(tuple)
sizes = st.integers(1, 2**28 - 1)
hashes = st.binary(min_size=32, max_size=32)
blocks = st.builds(Block, sizes, hashes, st.binary(min_size=16, max_size=16)) | st.builds(
    Block, sizes, hashes, st.just(b""), st.just(HashAlgorithm.SHA256)
)
checksums = st.builds(Checksum, words, words, words)


@st.composite
def parts(draw):
    """A part whose size is that of its blocks."""
    own = tuple(draw(st.lists(blocks, max_size=3)))
    size = sum(block.size for block in own)
    return Part(draw(st.integers(1, 10_000)), draw(tokens), size, draw(words), draw(words), own)


@st.composite
def records(draw, stamp=stamps, bucket_id=tokens, key=object_keys):
    """A tombstone, an inline record, or one with blocks or an index."""
    start = (draw(bucket_id), draw(key), draw(stamp))
    kind = draw(st.sampled_from(["tombstone", "inline", "blocks", "index"]))
    if kind == "tombstone":
        return Record(*start, False, draw(times))
    fields = {
        "live": True,
        "modified_ms": draw(times),
        "size": draw(times),
        "etag": draw(words),
        "owner": draw(words),
        "headers": draw(pairs),
        "metadata": draw(pairs),
        "checksum": draw(st.none() | checksums),
        "origin": draw(sites),
        "part_count": draw(st.integers(0, 10_000)),
    }
    if kind == "inline":
        return Record(*start, **fields, inline=draw(st.binary(max_size=200)))
    fields |= {"upload": draw(tokens), "multipart": draw(st.booleans())}
    if kind == "index":
        return Record(*start, **fields, index=tuple(draw(st.lists(blocks, min_size=1, max_size=3))))
    return Record(*start, **fields, parts=tuple(draw(st.lists(parts(), max_size=3))))


uploads = st.builds(
    Upload,
    id=tokens,
    bucket_id=tokens,
    key=object_keys,
    state=st.sampled_from(UploadState),
    opened_ms=times,
    origin=sites,
    multipart=st.booleans(),
    owner=words,
    headers=pairs,
    metadata=pairs,
    checksum_algorithm=words,
    checksum_kind=words,
    answer_etag=words,
)
attempts = st.builds(PartAttempt, parts(), times)
buckets = st.builds(
    Bucket,
    id=tokens,
    name=words,
    owner=words,
    created_ms=times,
    stamp=stamps,
    region=words,
    state=st.sampled_from(BucketState),
    home=sites,
    sites=st.lists(words, max_size=3).map(tuple),
    epoch=st.integers(0, 1000),
)
users = st.builds(
    User,
    id=tokens,
    access_key=tokens,
    name=words,
    email=words,
    created_ms=times,
    stamp=stamps,
    secret_stamp=stamps,
    secret=st.binary(max_size=60),
    enabled=st.booleans(),
    admin=st.booleans(),
    epoch=st.integers(0, 1000),
)
