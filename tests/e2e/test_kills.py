"""kill -9 at random moments of a mixed load: nothing acknowledged is lost, nothing is left behind.

Victims are all processes of a site: the main one, which takes its workers with it, or a worker. After every
kill the client's own ledger is read back through S3; at the end the blocks stored are those of live records.
A short run here; the whole, 100 kills a site, in `make soak`. CAUSEWAY_TEST_KILLS_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import OpenSite
from tests.e2e.linked import connect, contents, fullsync, switch, wait_caught_up, wait_until
from tests.e2e.load import WHAT, Load
from tests.hosts.running import ROOT
from tests.site_process import SiteProcess

pytestmark = pytest.mark.timeout(300)  # many processes, and others beside them

BUCKET = "ledger"
SETTINGS = {"leeway": "2s", "workers": 2}  # GC runs at every start: it collects under the load as well
START_S_MAX = 2.0
MAIN_SHARE = 0.6  # of the kills; the rest takes a worker


def _seed() -> int:
    seed = int(os.environ.get("CAUSEWAY_TEST_KILLS_SEED", random.randrange(1 << 32)))
    print(f"CAUSEWAY_TEST_KILLS_SEED={seed}")
    return seed


class Killer:
    """Kills a site's processes and brings them back; keeps how long each start took."""

    def __init__(self, site: SiteProcess, rng: random.Random) -> None:
        self._site = site
        self._rng = rng
        self.starts: list[float] = []
        self.undisturbed: list[float] = []  # without the time spent waiting for a processor
        self.workers_killed = 0

    def kill(self) -> Callable[[], None]:
        """One kill; what is to be done for the site to be whole again."""
        if self._rng.random() < MAIN_SHARE:
            self._site.kill()
            return self._start
        before = self._site.worker_pids()
        victim = self._rng.choice(before)
        os.kill(victim, signal.SIGKILL)
        self.workers_killed += 1
        return lambda: self._worker_is_back(before, victim)

    def _start(self) -> None:
        began = time.monotonic()
        self._site.start()
        took = time.monotonic() - began
        main = self._site.main_pid()
        waited = _waited_s(main) + max(map(_waited_s, self._site.worker_pids()), default=0.0)
        self.starts.append(took)
        self.undisturbed.append(took - waited)

    def _worker_is_back(self, before: list[int], victim: int) -> None:
        def back() -> bool:
            now = self._site.worker_pids()
            return victim not in now and len(now) == len(before)

        wait_until(back, "another worker")

    def told(self) -> str:
        """The figures."""
        own = sorted(self.undisturbed) or [0.0]
        wall = max(self.starts, default=0.0)
        return (
            f"{self._site.name}: {len(own)} times main, {self.workers_killed} times a worker; "
            f"start-up median {statistics.median(own):.2f} s, max {own[-1]:.2f} s, "
            f"{wall:.2f} s by the clock of a machine that others use too"
        )

    def check_starts(self) -> None:
        """Every one under 2 s, on a processor of its own."""
        assert [] == [took for took in self.undisturbed if took >= START_S_MAX]


def _waited_s(pid: int) -> float:
    """How long a process was ready to run and had no processor, s: other tests are not its fault."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _audit(site: SiteProcess) -> dict[str, Any]:
    """What the site holds once it is stopped and GC has run."""
    site.stop()
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.audit"],
        cwd=ROOT,
        env=dict(os.environ) | site.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def _assert_nothing_left_behind(site: SiteProcess) -> None:
    found = _audit(site)
    assert (found["orphans"], found["extra"], found["missing"]) == ([], [], []), found["gc"]
    assert found["blocks"]
    assert not (site.data / "tmp").exists() or not list((site.data / "tmp").iterdir()), "half-written files"


def _run_one_site(site: SiteProcess, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    client = site.boto3()
    client.create_bucket(Bucket=BUCKET)
    killer = Killer(site, rng)
    with Load(site, client, BUCKET, seed) as load:
        for _ in range(kills):
            load.run()
            time.sleep(rng.uniform(0.1, 1.2))
            repair = killer.kill()
            repair()
            load.pause()
            load.check()
        print(killer.told(), dict(load.acknowledged()), "broken off:", load.broken_off())
        assert load.acknowledged().keys() >= WHAT.keys() - {"large_multipart"}
        assert load.broken_off() > 0, "no kill hit anything"
    killer.check_starts()
    _assert_nothing_left_behind(site)


def _run_pair(west: SiteProcess, east: SiteProcess, kills: int, seed: int) -> None:
    """Both sites under load, linked both ways, with fullsyncs going on; `kills` at each."""
    rng = random.Random(seed)
    sites = [west, east]
    keys = _linked_both_ways(west, east)
    killers = {site.name: Killer(site, rng) for site in sites}
    victims = sites * kills
    rng.shuffle(victims)
    clients = [site.boto3(keys) for site in sites]
    loads = [Load(site, client, BUCKET, seed) for site, client in zip(sites, clients, strict=True)]
    with loads[0], loads[1]:
        while victims:
            round_ = [victims.pop() for _ in range(min(len(victims), rng.choice([1, 2])))]
            for load in loads:
                load.run()
            for source, sink in ((west, east), (east, west)):
                switch(source, sink, "fullsync", "start")
            time.sleep(rng.uniform(0.1, 1.0))
            for repair in [killers[site.name].kill() for site in dict.fromkeys(round_)]:
                repair()
            victims += round_[1:] if len(set(map(id, round_))) < len(round_) else []
            for load in loads:
                load.pause()
                load.check()
        for site, load in zip(sites, loads, strict=True):
            print(killers[site.name].told(), dict(load.acknowledged()), "broken off:", load.broken_off())
    _everything_owed_arrives(west, east, clients)
    for killer in killers.values():
        killer.check_starts()
    for site in sites:
        _assert_nothing_left_behind(site)


def _linked_both_ways(west: SiteProcess, east: SiteProcess) -> tuple[str, str]:
    connect(west, east, both_ways=True)
    keys = west.user()
    west.boto3(keys).create_bucket(Bucket=BUCKET)
    wait_until(lambda: east.boto3(keys).head_bucket(Bucket=BUCKET))
    return keys


def _everything_owed_arrives(west: SiteProcess, east: SiteProcess, clients: list[Any]) -> None:
    wait_caught_up(west, east, 90)
    wait_caught_up(east, west, 90)
    assert contents(clients[0], BUCKET) == contents(clients[1], BUCKET) != {}
    for source, sink in ((west, east), (east, west)):
        fullsync(source, sink)  # ends what a kill left half done
        tally = fullsync(source, sink)["tally"]
        assert not tally["sent"] + tally["completed"] + tally["bytes"], tally


def test_one_site(open_site: OpenSite):
    """Ten kills: every acknowledged operation is there, start-up is quick, GC leaves no orphan."""
    _run_one_site(open_site("west", **SETTINGS), kills=10, seed=_seed())


def test_one_site_over_minio_and_dynamodb(open_site: OpenSite):
    """The same where the stores live on while our processes die."""
    _run_one_site(open_site("west", "aws", **SETTINGS), kills=4, seed=_seed())


def test_pair(open_site: OpenSite):
    """Kills at both sites during realtime and fullsync: afterwards everything owed arrives."""
    west = open_site("west", **SETTINGS)
    _run_pair(west, open_site("east", primary="west", **SETTINGS), kills=4, seed=_seed())


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["directory", "aws"])
def test_one_site_soak(open_site: OpenSite, backend: str):
    """100 kills of one site, on each backend."""
    _run_one_site(open_site("west", backend, **SETTINGS), kills=100, seed=_seed())


@pytest.mark.soak
def test_pair_soak(open_site: OpenSite):
    """100 kills at each of two sites."""
    west = open_site("west", **SETTINGS)
    _run_pair(west, open_site("east", primary="west", **SETTINGS), kills=100, seed=_seed())
