"""The steps of the demonstration, each ending in checks that are either right or wrong.

store      everything at west, block copying paused: records stream, blocks wait
proxy_get  objects read at east come from west block by block, once
copy       block copying resumed until east has everything
cut        the line is broken; west goes on writing, overwriting and deleting
heal       the line is back; a fullsync compares and brings what is missing
check      every object read from both sites, its SHA-256 against the file it came from
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.cli import connections, fullsync, world
from chalicelib.cli.admin_client import Fields
from chalicelib.cli.demo_client import Client, Seen
from chalicelib.cli.demo_files import Ledger, make, sha256_of
from chalicelib.cli.demo_screen import Screen
from chalicelib.cli.demo_sites import Relay, Site
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.output import size
from chalicelib.cli.status import link_to, settled

WAIT_S_MAX = 120.0
WAIT_STEP_S = 0.4  # each look makes west count everything it owes
BLOCKS_MIN = 20  # by proxy_get, at least
_BLOCK = 4 * 1024 * 1024
_SAMPLES_MAX = 16
_INLINE_MAX = 32 * 1024  # larger objects have blocks
_CHANGES_MAX = 200  # written, overwritten and deleted while the line is cut, each
_WRONG_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict."""

    what: str
    found: str
    right: bool


@dataclass
class Demonstration:
    """Two sites, a client at each, and what was found so far."""

    west: Site
    east: Site
    directory: Path
    screen: Screen
    relays: list[Relay] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    checks: list[Check] = field(default_factory=list)
    user: Fields = field(default_factory=dict)
    bucket: str = ""
    at_west: Any = None
    at_east: Any = None

    def note(self, what: str, found: str, right: bool) -> None:
        """A check was made."""
        self.checks.append(Check(what, found, right))

    # ------------------------------------------------------------------ set-up

    def link(self) -> None:
        """Link west to east over lines that can be cut, and make a user and a bucket."""
        to_east, to_west = Relay(self.east.port), Relay(self.west.port)
        self.relays = [to_east, to_west]
        terms = connections.Terms(to_east.endpoint, to_west.endpoint)
        connections.link(self.west.admin, self.east.admin, terms)
        west, sink = self.west.admin, self.east.name
        west.post("links", sink, "proxy-get", action="enable")
        for action in ("enable", "start", "pause-blocks"):
            west.post("links", sink, "realtime", action=action)
        self.user = west.post("users", name="demonstration")
        self.bucket = f"demo-{world.token(3)}"
        keys = (self.user["access_key"], self.user["secret_key"])
        self.at_west = Client(self.west.endpoint, *keys, self.bucket)
        self.at_east = Client(self.east.endpoint, *keys, self.bucket)
        self.at_west.s3.create_bucket(Bucket=self.bucket)
        self._wait("the user and the bucket to arrive at east", self._owes_nothing)

    def _wait(self, what: str, done: Callable[[Fields], bool]) -> Fields:
        until = world.elapsed_s() + WAIT_S_MAX
        while True:
            found = self.west.admin.get("status")
            if done(found):
                return found
            if world.elapsed_s() > until:
                link = link_to(found, self.east.name)
                why = (
                    link["error"]
                    or f"{link['records_behind']} records, {link['blocks_behind']} blocks behind"
                )
                raise Failure(Exit.NO, f"waited {WAIT_S_MAX:.0f} s for {what}: {why}")
            world.sleep_s(WAIT_STEP_S)

    def _owes_nothing(self, found: Fields) -> bool:
        link = link_to(found, self.east.name)
        return bool(link["up"] and not link["records_behind"] and not link["backfilling"])

    # ------------------------------------------------------------------- steps

    def store(self, files: list[tuple[str, Path]]) -> None:
        """Store everything at west."""
        self.at_west.put_all(self.ledger, files, self.screen.through)
        self._wait("all records to arrive at east", self._owes_nothing)
        listed = self.at_east.keys()
        self.note(
            "records stream while block copying is paused",
            f"{len(self.ledger.stored)} objects ({size(self.ledger.bytes)}) at west, {len(listed)} at east",
            listed == self.ledger.stored.keys(),
        )

    def read_through(self) -> None:
        """Read objects at east whose blocks are still at west only; then the same again."""
        first, wrong = self._proxied(self._read_samples)
        again, wrong_again = self._proxied(self._read_samples)
        bad = wrong + wrong_again
        self.note(
            f"east serves objects before their blocks arrive: {BLOCKS_MIN} blocks or more from west",
            f"{first} blocks from west" + (f", {bad} reads wrong" if bad else ""),
            first >= BLOCKS_MIN and not bad,
        )
        self.note("the same reads again need none", f"{again} blocks from west", again == 0)

    def _proxied(self, read: Callable[[], int]) -> tuple[int, int]:
        before = self._served()
        wrong = read()
        return self._served() - before, wrong

    def _served(self) -> int:
        return int(link_to(self.east.admin.get("status"), self.west.name)["proxy_get_blocks"])

    def _read_samples(self) -> int:
        """Some whole objects, and the beginning of the largest; how many came back wrong."""
        stored = self.ledger.stored
        middling = [key for key, one in stored.items() if _INLINE_MAX < one.size <= _BLOCK][:_SAMPLES_MAX]
        wrong = 0
        for key in middling:
            body = self.at_east.read(key)
            wrong += hashlib.sha256(body).hexdigest() != stored[key].sha256
            self.screen.through(len(body))
        largest = max(stored, key=lambda key: stored[key].size)
        length = (BLOCKS_MIN + 4 - len(middling)) * _BLOCK
        body = self.at_east.read(largest, f"bytes=0-{length - 1}")
        with stored[largest].path.open("rb") as file:
            wrong += body != file.read(length)
        self.screen.through(len(body))
        return wrong

    def copy(self) -> None:
        """Let the blocks follow until east has everything."""
        self.west.admin.post("links", self.east.name, "realtime", action="resume-blocks")
        self._wait("the blocks to arrive at east", settled)
        incomplete = self.east.admin.get("status")["incomplete"]
        self.note("block copying resumed: caught up", f"{incomplete} records lack blocks", incomplete == 0)

    def cut(self) -> None:
        """Cut the line; write, overwrite and delete on at west."""
        for relay in self.relays:
            relay.cut()
        edits = self.directory / "edits"
        edits.mkdir(exist_ok=True)
        keys = sorted(key for key, one in self.ledger.stored.items() if one.size < _BLOCK)
        count = min(_CHANGES_MAX, len(keys) // 4)
        new = [f"while-cut/{number:04d}.bin" for number in range(count)]
        changed: list[tuple[str, Path]] = []
        for number, key in enumerate([*new, *keys[:count]]):
            path = edits / f"{number:04d}.bin"
            make(path, 1000 + 1500 * (number % 100), f"{self.bucket}/{number}")
            changed.append((key, path))
        self.at_west.put_all(self.ledger, changed, self.screen.through)
        self.at_west.delete_all(self.ledger, keys[count : 2 * count])
        link = self._wait("the cut to be noticed", lambda found: not link_to(found, self.east.name)["up"])
        owed = link_to(link, self.east.name)["records_behind"]
        self.note(
            "the line cut: west goes on, and knows what it owes",
            f"{count} written, {count} overwritten, {count} deleted; {owed} records owed",
            owed >= 3 * count,
        )

    def heal(self) -> None:
        """Heal the line, run a fullsync, then another, which must find nothing to do."""
        for relay in self.relays:
            relay.heal()
        run = self._fullsync()
        self.note("healed: a fullsync completes", fullsync.counted(run), run["state"] == "complete")
        self.west.admin.post("links", self.east.name, "realtime", action="start")  # retry what waits now
        self._wait("what was owed to arrive at east", settled)
        run = self._fullsync()
        idle = run["state"] == "complete" and not run["tally"]["applied"] and not run["tally"]["bytes"]
        self.note("a second fullsync moves nothing", fullsync.counted(run), idle)

    def _fullsync(self) -> Fields:
        self.west.admin.post("links", self.east.name, "fullsync", action="start")
        with self.screen.hidden():
            return fullsync.follow(self.west.admin, self.east.name, self.screen.out)

    def check(self) -> None:
        """Read every object from both sites."""
        for site, client in ((self.west, self.at_west), (self.east, self.at_east)):
            self._note_seen(site.name, client.check(self.ledger, self.screen.through))
        changed = [key for key, one in self.ledger.stored.items() if _changed(one.path, one.sha256)]
        if changed:
            self.screen.say(f"{len(changed)} files changed on disk after they were stored: {changed[0]} …")

    def _note_seen(self, name: str, seen: Seen) -> None:
        found = f"{seen.objects} objects ({size(seen.bytes)}) true, {seen.gone} deleted ones gone"
        if seen.wrong:
            found = f"{len(seen.wrong)} wrong: {'; '.join(seen.wrong[:_WRONG_SHOWN])}"
        whole = seen.objects == len(self.ledger.stored) and seen.gone == len(self.ledger.deleted)
        self.note(f"{name}: every object read, SHA-256 as on disk", found, whole and not seen.wrong)


def _changed(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) != sha256
    except OSError:
        return True
