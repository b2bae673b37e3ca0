"""What a stopped site holds: are the blocks it stores those of its live records, no more and no less?

    python -m tests.e2e.audit        with the site's own environment; a JSON object on standard output

GC is run first, as of a time when everything that may ever be due is due.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from chalicelib import bootstrap
from chalicelib.domain.manifest import BlockId, index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.objects import accounts, bodies, gc, get
from chalicelib.objects.list import list_objects
from chalicelib.ports.site import Site
from chalicelib.settings import Settings

LATER_MS = 3_600_000
ROUNDS_MAX = 20


def audit() -> dict[str, object]:
    """Collect, then compare."""
    settings = Settings.from_environment(os.environ)
    with bootstrap.open_main(settings) as wired:
        site = wired.node.site
        reports = []
        for _ in range(ROUNDS_MAX):
            report = wired.node.collect(now_ms=site.clock.now_ms() + LATER_MS)
            reports.append(asdict(report))
            if not report.closed + report.collected:
                break
        stored = {one for upload in site.blocks.uploads() for one, _ in site.blocks.list_upload(upload)}
        named = _named(site)
        return {
            "orphans": gc.orphans(site),
            "extra": sorted(map(_told, stored - named)),
            "missing": sorted(map(_told, named - stored)),
            "blocks": len(stored),
            "gc": reports,
        }


def _named(site: Site) -> set[BlockId]:
    """Every block that a live record names."""
    found: set[BlockId] = set()
    for bucket in accounts.all_buckets(site):
        after = ""
        while True:
            page = list_objects(site, bucket.id, prefix="", delimiter="", after=after, max_keys=1000)
            for key in [one.key for one in page.keys]:
                record = get.current(site, bucket.id, key_hash(key))
                assert record is not None and record.live, f"{key} is listed and not there"
                refs = [*index_refs(record), *part_refs(record, bodies.parts_of(site, record))]
                found.update(ref.id for ref in refs)
                after = key
            if len(page.keys) < 1000:
                break
    return found


def _told(block: BlockId) -> str:
    return f"{block.upload}/{block.attempt}/{block.number}"


if __name__ == "__main__":
    json.dump(audit(), sys.stdout)
