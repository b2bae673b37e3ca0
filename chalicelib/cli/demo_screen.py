"""What the demonstration shows while it works: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.console import Group
from rich.live import Live
from rich.table import Table

from chalicelib.cli import world
from chalicelib.cli.demo_sites import Site
from chalicelib.cli.failure import Failure
from chalicelib.cli.output import Output, counted, size, table
from chalicelib.cli.status import link_to

LOOK_S = 1.0  # a look makes the site count everything it owes
PLAIN_EVERY_S = 5.0
Line = tuple[str, float]


@dataclass
class Figures:
    """The numbers of the table."""

    phase: str = ""
    objects: int = 0
    bytes: int = 0
    records: int = 0
    records_behind: int = 0
    blocks_behind: int = 0
    lag_ms: int = 0
    up: bool = False
    proxied: int = 0
    ended: list[Line] = field(default_factory=list)


class Screen:
    """Shows figures; looks at both sites' status for those that are theirs."""

    def __init__(self, out: Output, west: Site, east: Site) -> None:
        self.figures = Figures()
        self.out = out
        self._west, self._east = west, east
        self._ending = threading.Event()
        self._live: Live | None = None
        self._begun = world.elapsed_s()
        self._plain_at = 0.0
        self._sent_before = 0  # records of the user and the bucket: nothing that was stored

    def through(self, count: int) -> None:
        """One more object of `count` bytes is through."""
        self.figures.objects += 1
        self.figures.bytes += count

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look and show as long as the context lasts."""
        watching = threading.Thread(target=self._watch, daemon=True)
        with suppress(Failure):
            self._look()
            self._sent_before, self.figures.records = self.figures.records, 0
        self._show_live()
        watching.start()
        try:
            yield
        finally:
            self._ending.set()
            watching.join()
            self._hide()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A step of the demonstration: its name while it lasts, its time when it is over."""
        self.figures.phase, self.figures.objects, self.figures.bytes = name, 0, 0
        begun = world.elapsed_s()
        yield
        took = world.elapsed_s() - begun
        self.figures.ended.append((name, took))
        if self._live is None:
            self.say(f"{took:6.1f} s  {name}")

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """The table makes room for something else."""
        self._hide()
        yield
        self._show_live()

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self.out.as_json:
            self.out.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _show_live(self) -> None:
        if self.out.as_json or not self.out.console.is_terminal:
            return
        self._live = Live(console=self.out.console, get_renderable=self._picture, refresh_per_second=4)
        self._live.start()

    def _hide(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.transient = True
            live.stop()

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_S):
            with suppress(Failure):  # a site that does not answer shows by figures that stand still
                self._look()
            if self._live is None and world.elapsed_s() - self._plain_at > PLAIN_EVERY_S:
                self._plain_at = world.elapsed_s()
                self.say(self._line())

    def _look(self) -> None:
        link = link_to(self._west.admin.get("status"), self._east.name)
        back = link_to(self._east.admin.get("status"), self._west.name)
        now = self.figures
        now.records, now.up = link["records_sent"] - self._sent_before, link["up"]
        now.records_behind, now.blocks_behind = link["records_behind"], link["blocks_behind"]
        now.lag_ms, now.proxied = link["lag_ms"], back["proxy_get_blocks"]

    def _line(self) -> str:
        return f"          {self.figures.phase} … {told(self.figures)}".rstrip()

    def _picture(self) -> Group:
        now = self.figures
        ended: Table = table(("", ">seconds"), [(name, f"{took:.1f}") for name, took in now.ended])
        columns = (
            ">objects", ">bytes", ">records streamed", ">records behind", ">blocks behind", ">lag ms",
            ">blocks by proxy_get", ">link",
        )  # fmt: skip
        row = (
            str(now.objects), size(now.bytes), str(now.records), str(now.records_behind),
            str(now.blocks_behind), str(now.lag_ms), str(now.proxied), "up" if now.up else "down",
        )  # fmt: skip
        phase = f"{now.phase or '…'} ({world.elapsed_s() - self._begun:.0f} s)"
        return Group(ended, "", phase, table(columns, [row]))


def told(now: Figures) -> str:
    """Of the figures those that say something: before anything has happened, none."""
    behind = f"{counted(now.records_behind, 'record')}, {counted(now.blocks_behind, 'block')} behind"
    parts = (
        (now.objects, f"{counted(now.objects, 'object')}, {size(now.bytes)}"),
        (now.records, f"{counted(now.records, 'record')} streamed"),
        (now.records_behind or now.blocks_behind, f"{behind}, lag {now.lag_ms} ms"),
    )
    return "; ".join(text for number, text in parts if number)
