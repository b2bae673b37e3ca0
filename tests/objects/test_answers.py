"""What a write's answer may say when the store's own answer was lost. Found by tests/simulation."""

from dataclasses import replace

import pytest

from chalicelib.domain.account import BucketState
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.objects.accounts import save_bucket
from chalicelib.ports.metadata import Table
from tests.builders import bucket, keys, put, site, text

LOST = ("after", Indeterminate("the answer was lost"))


def test_a_lost_answer_that_cannot_be_read_back_is_unknown(monkeypatch):
    """The commit took place and the look that would have told fails: "refused" would be a lie."""
    west = site()
    photos = bucket(west)
    read, asked = west.metadata.get, []

    def get(rows):
        asked.extend(row for row in rows if row.table is Table.KEYS)
        if len(asked) == 2:
            raise Unavailable("not now")
        return read(rows)

    monkeypatch.setattr(west.metadata, "get", get)
    west.metadata.problems.append(LOST)

    with pytest.raises(Indeterminate):
        put(west, photos, "k")

    assert b"hello" == text(west, photos.id, "k")


@pytest.mark.parametrize("moved_to", [BucketState.OPEN, BucketState.CLOSING])
def test_a_bucket_that_changed_under_a_commit_is_unknown(moved_to, monkeypatch):
    """Where the gate is looked at after the commit, the record stands whatever it shows then."""
    west = site(checks_contend=True)
    photos = bucket(west)
    transact = west.metadata.transact

    def changed_meanwhile(writes):
        transact(writes)
        if any(write.row.table is Table.KEYS for write in writes):
            known = photos.bucket
            moved = replace(known, state=moved_to, stamp=replace(known.stamp, counter=1))
            save_bucket(west, known, moved, name_form=photos.form)

    monkeypatch.setattr(west.metadata, "transact", changed_meanwhile)

    with pytest.raises(Indeterminate):
        put(west, photos, "k")

    assert ["k"] == keys(west, photos.id)
