"""The fault atlas: damage to blocks, only where the design says that it can be survived.

A block is flipped or lost at one site at a time and only while
  - another site, which the first may fetch from, has the same head and every block of it, whole;
  - nobody copies the object meanwhile: a copy of damaged bytes, or a new record over them, could
    outlive the whole copy (links move no byte through us, so nobody would notice).
Damage ends when the site files the block again; until then the upload may not be copied anywhere.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from chalicelib.domain.manifest import BlockId, BlockRef, Record, index_refs, part_refs

if TYPE_CHECKING:
    from tests.simulation.sites import SimSite


class Atlas:
    """What is damaged now, and what was ever taken away."""

    def __init__(self) -> None:
        self._damaged: dict[tuple[str, BlockId], str] = {}
        self.copying: Counter[str] = Counter()  # uploads somebody copies from right now

    def healed(self, site: str, block_id: BlockId) -> None:
        """The site filed the block again."""
        self._damaged.pop((site, block_id), None)

    def dropped(self, site: str, upload: str) -> None:
        """The site deleted the whole upload."""
        for place in [p for p in self._damaged if p[0] == site and p[1].upload == upload]:
            del self._damaged[place]

    def took(self, site: str, block_id: BlockId) -> bool:
        """Whether the block is missing here because we took it."""
        return self._damaged.get((site, block_id)) == "lost block"

    def touched(self, upload: str) -> bool:
        """Whether any site has damage in the upload."""
        return any(block_id.upload == upload for _, block_id in self._damaged)

    def left(self) -> list[tuple[str, BlockId]]:
        """Where damage is now."""
        return list(self._damaged)

    def strike(
        self, rng: random.Random, site: SimSite, providers: list[SimSite], kind: str
    ) -> BlockRef | None:
        """Damage one block at `site`, if some provider makes it survivable."""
        records = [
            record
            for key, record in sorted(site.watch.heads.items())
            if record.upload
            and key not in site.watch.incomplete
            and not self.copying[record.upload]
            and not self.touched(record.upload)
            and any(_same(other, key, record) for other in providers)
        ]
        if not records:
            return None
        record = rng.choice(records)
        refs = [ref for ref in (*index_refs(record), *part_refs(record, record.parts))]
        ref = rng.choice(refs)
        if kind == "lost block":
            site.blocks.delete(ref.id)
        else:
            body = bytearray(site.blocks.get(ref) or b"?")
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
            site.blocks.put(ref.id, bytes(body))
        self._damaged[site.name, ref.id] = kind
        return ref


def _same(other: SimSite, key: tuple[str, str], record: Record) -> bool:
    theirs = other.watch.heads.get(key)
    if theirs is None or theirs.stamp != record.stamp or key in other.watch.incomplete:
        return False
    refs = (*index_refs(record), *part_refs(record, record.parts))
    return other.holds(theirs) and all(other.true_block(ref) is not None for ref in refs)
