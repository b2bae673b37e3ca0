"""What a site does by itself, in the main process of the embedded server.

    one thread per link and lane   records, small blocks, large blocks: woken by commits, else by time
    one thread                     starts and drives fullsyncs
    one thread                     folds the tree, collects garbage

Every thread does one bounded step at a time and looks at `stopping` between them; a failure is logged
and tried again, for nothing here may end a site that still answers clients.
Source  DESIGN §4, §5: what a Lambda schedule or event drives elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from chalicelib.bootstrap import Wakeup
from chalicelib.objects import tree
from chalicelib.replication.links import Link
from chalicelib.replication.node import Node
from chalicelib.replication.outbox import LARGE, RECORD, SMALL

IDLE_S = 1.0  # without a wake-up, look this often
FULLSYNC_SLICE_MS = 2000
DOWN_PAUSE_S = 0.5  # how soon a healed link is noticed
GREET_EVERY_S = 5.0
GC_EVERY_S = 60.0
FOLD_EVERY_S = 1.0


class Background:
    """Runs a node's own work until `stop`."""

    def __init__(self, node: Node, wakeup: Wakeup) -> None:
        self._node = node
        self._wakeup = wakeup
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lanes: dict[tuple[str, str], threading.Thread] = {}

    def start(self) -> None:
        """Begin."""
        for name, work in (
            ("links", self._watch_links),
            ("fullsync", self._fullsyncs),
            ("upkeep", self._upkeep),
        ):
            self._start(name, work)

    def _start(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def stop(self, wait_s: float = 5.0) -> None:
        """End every thread, waiting for the step each is in."""
        self._stopping.set()
        self._wakeup.wake()
        for thread in self._threads:
            thread.join(wait_s)

    def _guarded(self, what: str, work: Callable[[], bool]) -> bool:
        """One step; whether there is more to do at once."""
        try:
            return work()
        except Exception as problem:  # noqa: BLE001 - logged and tried again: see the module
            self._node.site.log.event("background_failed", what=what, problem=repr(problem)[:300])
            return False

    # ------------------------------------------------------------------ links

    def _watch_links(self) -> None:
        """Keep a thread for each lane of each link that is started."""
        since_greeting = GREET_EVERY_S
        while not self._stopping.is_set():
            self._guarded("links", self._open_lanes)
            if since_greeting >= GREET_EVERY_S:
                self._guarded("greetings", self._greet)
                since_greeting = 0.0
            since_greeting += IDLE_S
            self._stopping.wait(IDLE_S)

    def _greet(self) -> bool:
        for link in self._node.links.read().by_site.values():
            self._node.greet(link)
        return False

    def _open_lanes(self) -> bool:
        self._lanes = {key: thread for key, thread in self._lanes.items() if thread.is_alive()}
        for link in self._node.links.read().by_site.values():
            for lane in _lanes(link):
                key = (link.site, lane)
                if key not in self._lanes:
                    self._lanes[key] = self._start(f"{lane}-{link.site}", self._lane(link.site, lane))
        return False

    def _lane(self, site: str, lane: str) -> Callable[[], None]:
        def serve(link: Link) -> bool:
            step = self._node.serve_records(link) if lane == RECORD else self._node.serve_blocks(link, lane)
            if step.down:
                self._stopping.wait(DOWN_PAUSE_S)  # not the flag: commits go on and must not hammer it
            return step.done > 0

        def run() -> None:
            flag = self._wakeup.flag()
            try:
                while not self._stopping.is_set():
                    link = self._node.links.reread().by_site.get(site)  # a switch works at once
                    if link is None or lane not in _lanes(link):
                        return
                    flag.clear()
                    if not self._guarded(f"{lane} to {site}", partial(serve, link)):
                        flag.wait(self._pause_s(link, lane))
            finally:
                self._wakeup.drop(flag)

        return run

    def _pause_s(self, link: Link, lane: str) -> float:
        """Until the next item falls due, at most IDLE_S."""
        try:
            due_ms = self._node.outbox(link.site).next_due_ms(lane)
        except Exception:  # noqa: BLE001 - only decides how long to wait
            return IDLE_S
        if due_ms is None:
            return IDLE_S
        return min(IDLE_S, max(0.01, (due_ms - self._node.site.clock.now_ms()) / 1000))

    # --------------------------------------------------------------- fullsync

    def _fullsyncs(self) -> None:
        while not self._stopping.is_set():
            busy = self._guarded("fullsync", self._drive_fullsyncs)
            self._stopping.wait(0.0 if busy else 0.2)

    def _drive_fullsyncs(self) -> bool:
        going = False
        for sink in self._node.schedule():
            run = self._node.drive_fullsync(sink, FULLSYNC_SLICE_MS)
            going = going or (run is not None and not run.error)
        return going

    # ----------------------------------------------------------------- upkeep

    def _upkeep(self) -> None:
        since_gc = GC_EVERY_S
        while not self._stopping.is_set():
            self._guarded("fold", lambda: tree.fold(self._node.site) < 0)
            if since_gc >= GC_EVERY_S:
                self._guarded("gc", lambda: self._node.collect().closed < 0)
                since_gc = 0.0
            since_gc += FOLD_EVERY_S
            self._stopping.wait(FOLD_EVERY_S)


def _lanes(link: Link) -> tuple[str, ...]:
    """The lanes that shall be served now."""
    if not (link.sink and link.enabled and link.started):
        return ()
    return (RECORD, SMALL, LARGE) if link.blocks else (RECORD,)
