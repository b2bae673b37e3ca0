"""A fullsync killed anywhere goes on there; two never drive one run; the schedule does not drift."""

import random
from dataclasses import replace

import pytest

from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.replication.fullsync import RECORDS_MAX
from chalicelib.replication.runs import LEASE_MS, Run, State, decode, encode, next_start
from tests.builders import HOUR_MS, MINUTE_MS, put
from tests.replication.test_fullsync import BODY, equal, fill, unlinked


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """b as a sees it; `at(n, when)` may raise around the nth call. `applied` counts records handed over."""

    def __init__(self, net, at):
        self._wire = net["a"].dial
        self._at = at
        self.calls = self.applied = 0
        net.nodes["a"] = replace(net["a"], dial=self.dial)

    def dial(self, link):
        self._peer = self._wire(link)
        return self

    def __getattr__(self, verb):
        def call(*args):
            self.calls += 1
            n = self.calls
            self._at(n, "before")
            answer = getattr(self._peer, verb)(*args)
            if verb == "apply":
                self.applied += len(args[0])
            self._at(n, "after")
            return answer

        return call


def drive_through(net):
    """Drive until it ends, a process after another; how often one died."""
    net["a"].start_fullsync("b")
    deaths = 0
    while net["a"].runs.read("b").state is State.RUNNING:
        try:
            net["a"].drive_fullsync("b", HOUR_MS)
        except Killed:
            deaths += 1
            net.clock.advance(LEASE_MS)
    return deaths


@pytest.mark.parametrize(("count", "seed"), [(1_000, 1), (1_000, 2), (1_000, 3), (10_000, 4)])
def test_killed_ten_times(count, seed):
    """Killed at ten random moments over keys that all differ: equal, and at most 1.1 × the applies
    beyond the batch each kill may cost."""
    net = unlinked("a", "b", items_max=10_000)
    fill(net, "a", count)
    rng = random.Random(seed)
    expected_calls = count // 5
    kills = {(rng.randrange(1, expected_calls), rng.choice(["before", "after"])) for _ in range(10)}

    def kill(*moment):
        if moment in kills:
            raise Killed

    mortal = Mortal(net, kill)

    deaths = drive_through(net)

    assert deaths == len({moment for moment in kills if moment[0] <= mortal.calls})
    assert deaths >= 5
    assert State.COMPLETE is net["a"].runs.read("b").state
    assert equal(net, "a", "b")
    assert mortal.applied <= 1.1 * count + (RECORDS_MAX * deaths if count < 10_000 else 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_call(when):
    """A process that dies at its nth call, for every n: progress is made all the same."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 120)
    put(net["a"].site, photos, "large", BODY)
    seen = set()

    def kill(n, moment):
        if moment == when and n % 4 == 0 and n not in seen:
            seen.add(n)
            raise Killed

    Mortal(net, kill)

    deaths = drive_through(net)

    assert deaths > 3
    assert equal(net, "a", "b")


@pytest.mark.parametrize("problem", [Unavailable("down"), Indeterminate("lost")])
def test_a_link_that_fails_now_and_then(problem):
    """Every third call fails: each drive goes on where the last one stopped, and says why it stopped."""
    net = unlinked("a", "b")
    fill(net, "a", 300, body=b"x" * 5000)

    def fail(n, moment):
        if moment == "after" and n % 7 == 0:
            raise problem

    Mortal(net, fail)
    net["a"].start_fullsync("b")
    errors = set()
    for _ in range(500):
        run = net["a"].drive_fullsync("b", HOUR_MS)
        errors.add(run.error)
        if run.state is not State.RUNNING:
            break

    assert State.COMPLETE is run.state
    assert {"", f"{type(problem).__name__}: {problem}"} == errors
    assert equal(net, "a", "b")


def test_a_restart_keeps_the_cursor():
    """What was compared before is not compared again."""
    net = unlinked("a", "b")
    fill(net, "a", 500)
    net["a"].start_fullsync("b")
    for _ in range(12):
        net["a"].drive_fullsync("b", 0)
    before = net["a"].runs.read("b")

    net.restart("a")
    net["a"].drive_fullsync("b", HOUR_MS)
    after = net["a"].runs.read("b")

    assert before.cursor.stack
    assert 0 < before.tally.sent < after.tally.sent == 501
    assert State.COMPLETE is after.state


class TestLease:
    """Two runs on one link exclude each other."""

    @pytest.fixture
    def net(self):
        net = unlinked("a", "b")
        fill(net, "a", 200)
        return net

    def test_a_run_has_one_driver(self, net):
        """While one holds the lease, another gets nothing."""
        runs, now_ms = net["a"].runs, net.clock.now_ms()
        net["a"].start_fullsync("b")

        assert runs.lease("b", now_ms) is not None
        assert runs.lease("b", now_ms + LEASE_MS - 1) is None
        assert net["a"].drive_fullsync("b", HOUR_MS) is None

    def test_who_lost_the_lease_writes_nothing(self, net):
        """A driver that slept too long finds its store refused."""
        runs, now_ms = net["a"].runs, net.clock.now_ms()
        net["a"].start_fullsync("b")
        slow = runs.lease("b", now_ms)

        fast = runs.lease("b", now_ms + LEASE_MS)

        assert fast.fence > slow.fence
        assert not runs.store("b", slow, replace(slow, error="mine"))
        assert runs.store("b", fast, replace(fast, error="theirs"))
        assert "theirs" == runs.read("b").error

    def test_a_stopped_run_stays_stopped(self, net):
        """Its driver's next store is refused, and nobody can lease it."""
        runs = net["a"].runs
        net["a"].start_fullsync("b")
        driver = runs.lease("b", net.clock.now_ms())

        runs.stop("b", net.clock.now_ms())

        assert not runs.store("b", driver, driver)
        assert runs.lease("b", net.clock.now_ms() + HOUR_MS) is None
        assert State.STOPPED is runs.read("b").state

    def test_starting_twice_is_starting_once(self, net):
        """A run that is running is left alone."""
        first = net["a"].start_fullsync("b")
        net.clock.advance(5)

        assert first == net["a"].start_fullsync("b", anyway=True)

    def test_a_budget_ends_the_drive(self, net):
        """The lease is given back at once, so that the next function can go on."""
        net["a"].start_fullsync("b")

        run = net["a"].drive_fullsync("b", 0)

        assert (State.RUNNING, 0) == (run.state, run.lease_until_ms)
        assert net["a"].drive_fullsync("b", HOUR_MS).state is State.COMPLETE


class TestSchedule:
    """Runs start on the grid of their interval."""

    @pytest.fixture
    def net(self):
        net = unlinked("a", "b")
        net["a"].links.update("b", enabled=True, fullsync_interval_ms=6 * HOUR_MS)
        return net

    def test_late_and_restarted_runs_never_drift(self, net):
        """A scheduler that looks every seven minutes, and dies now and then, starts each run within
        those seven minutes of its time on the grid."""
        began = net.clock.now_ms()
        starts = []
        while len(starts) < 12:
            if net["a"].schedule():
                starts.append(net["a"].drive_fullsync("b", HOUR_MS).started_ms - began)
            if len(starts) % 3 == 0:
                net.restart("a")
            net.clock.advance(7 * MINUTE_MS)

        late = [start - 6 * HOUR_MS * n for n, start in enumerate(starts)]
        assert all(0 <= ms < 7 * MINUTE_MS for ms in late)

    def test_missed_runs_are_not_made_up_for(self, net):
        """After three days of darkness one run, then the grid again."""
        net["a"].schedule()
        net["a"].drive_fullsync("b", HOUR_MS)
        first = net["a"].runs.read("b")

        net.clock.advance(72 * HOUR_MS + 1)
        net["a"].schedule()
        net["a"].drive_fullsync("b", HOUR_MS)

        run = net["a"].runs.read("b")
        assert [] == net["a"].schedule()
        assert 0 == (run.next_ms - first.next_ms) % (6 * HOUR_MS)
        assert net.clock.now_ms() < run.next_ms <= net.clock.now_ms() + 6 * HOUR_MS

    def test_zero_is_never(self, net):
        """An interval of 0 starts nothing by itself."""
        net["a"].links.update("b", fullsync_interval_ms=0)

        assert [] == net["a"].schedule()

    def test_a_run_that_is_running_is_gone_on_with(self, net):
        """Also after a restart: the schedule names it until it ends."""
        net["a"].schedule()
        net.restart("a")

        assert ["b"] == net["a"].schedule()

    @pytest.mark.parametrize(
        ("planned", "now", "expected"),
        [(0, 1000, 1100), (1050, 1000, 1050), (1000, 1000, 1100), (1000, 1099, 1100), (1000, 1350, 1400)],
    )
    def test_next_start(self, planned, now, expected):
        """With an interval of 100: the first planned time after now."""
        assert expected == next_start(planned, now, 100)


def test_a_run_is_what_its_form_says():
    """Stored and read again it is equal, byte for byte when stored once more."""
    net = unlinked("a", "b")
    fill(net, "a", 300)
    net["a"].start_fullsync("b")
    for _ in range(6):
        net["a"].drive_fullsync("b", 0)
    run = net["a"].runs.read("b")

    assert run.cursor.stack
    assert run == decode(encode(run))
    assert Run() == decode(None)


def test_backfilling_ends_with_a_run_begun_after_it():
    """A run that had begun before the link was enabled may have passed by what was written since."""
    net = unlinked("a", "b")
    fill(net, "a", 200)
    net["a"].start_fullsync("b")
    net.clock.advance(MINUTE_MS)
    net["a"].links.update("b", enabled=True, backfilling=True, enabled_ms=net.clock.now_ms())

    net["a"].drive_fullsync("b", HOUR_MS)
    assert net["a"].links.read().get("b").backfilling

    net.clock.advance(MINUTE_MS)
    net.fullsync("a", "b")
    assert not net["a"].links.read().get("b").backfilling
