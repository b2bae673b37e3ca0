"""Listing open multipart uploads, page by page."""

import pytest

from chalicelib.objects import multipart
from tests.builders import bucket, site
from tests.objects.parts import complete, create, send


@pytest.fixture
def west():
    return site()


@pytest.fixture
def photos(west):
    return bucket(west)


def walk(west, photos, size, **asked):
    """Every entry of every page of open uploads, as S3's markers lead on."""
    shown, after = [], ("", "")
    for _ in range(20):
        page = multipart.list_uploads(
            west,
            photos.id,
            **{"prefix": "", "delimiter": "", **asked},
            after=after,
            max_uploads=size,
        )
        entries = sorted([(u.key, u.id) for u in page.uploads] + [(p, "") for p in page.prefixes])
        shown += entries
        if not page.truncated:
            return shown
        after = entries[-1]
    raise AssertionError(f"pages never end: {shown}")


@pytest.mark.parametrize("size", [1, 2, 10])
def test_list_uploads(west, photos, size):
    """Open uploads in order of key, then of opening, whatever the page size; closed ones are gone."""
    opened = []
    for key in ("b", "a/1", "a/2", "a/1", "c"):
        west.clock.advance(1)
        opened.append(create(west, photos, key))
    multipart.abort(west, photos, "b", opened[0].id)
    complete(west, photos, opened[4], [send(west, opened[4], 1, b"x")])

    everything = [(u.key, u.id) for u in (opened[1], opened[3], opened[2])]
    assert everything == walk(west, photos, size)
    assert everything == walk(west, photos, size, prefix="a/")
    assert [] == walk(west, photos, size, prefix="b")


@pytest.mark.parametrize("size", [1, 2, 10])
def test_list_uploads_rolls_up(west, photos, size):
    """A common prefix is shown once, also when a page ended with it."""
    for key in ("a/1", "a/2", "b", "c/1"):
        create(west, photos, key)

    shown = [key for key, _ in walk(west, photos, size, delimiter="/")]

    assert ["a/", "b", "c/"] == shown
