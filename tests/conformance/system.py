"""The contracts of ports/system.py; an adapter passes one by overriding its fixture."""

import threading
import time
from contextlib import ExitStack

import pytest

from chalicelib.domain.errors import Busy, Corrupt
from chalicelib.ports.system import Buffers, Hashing, Ids, Locks, Parallel, Vault

SOON = 5.0  # seconds: long enough that only a hang exceeds it
MOMENT = 0.05  # seconds in which a thread that can go on does


class Aside:
    """Work in a thread of the test's own, to see whether it waits."""

    def __init__(self, work):
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work):
        work()
        self._done.set()

    def waits(self) -> bool:
        """Whether it is still waiting after a moment."""
        return not self._done.wait(MOMENT)

    def ends(self) -> bool:
        """Whether it ends soon."""
        return self._done.wait(SOON)


class IdsContract:
    """ports.system.Ids."""

    @pytest.fixture
    def ids(self) -> Ids:
        raise NotImplementedError

    def test_tokens_are_hex_digits_of_the_length_asked_for(self, ids):
        """n bytes give 2n lower-case hex digits."""
        for nbytes in (1, 10, 32):
            assert nbytes == len(bytes.fromhex(ids.token(nbytes)))
            assert 2 * nbytes == len(ids.token(nbytes))

    def test_tokens_differ(self, ids):
        """No two of a thousand are the same."""
        assert 1000 == len({ids.token(16) for _ in range(1000)})


class ParallelContract:
    """ports.system.Parallel."""

    @pytest.fixture
    def parallel(self) -> Parallel:
        raise NotImplementedError

    def test_result_is_what_the_work_returned(self, parallel):
        """Each task answers for itself, in whatever order they are asked."""
        tasks = [parallel.start(lambda n=n: n * n) for n in range(50)]

        assert [n * n for n in reversed(range(50))] == [task.result() for task in reversed(tasks)]

    def test_result_may_be_asked_twice(self, parallel):
        """And says the same."""
        task = parallel.start(lambda: "once")

        assert ("once", "once") == (task.result(), task.result())

    def test_result_raises_what_the_work_raised(self, parallel):
        """`start` raises nothing; the very exception comes out of `result`."""
        problem = Corrupt("said the work")

        def work():
            raise problem

        task = parallel.start(work)

        with pytest.raises(Corrupt) as raised:
            task.result()
        assert problem is raised.value

    def test_work_that_starts_work_does_not_hang(self, parallel):
        """However deep, and however few workers there are."""

        def work(depth):
            return 1 + parallel.start(lambda: work(depth - 1)).result() if depth else 0

        tasks = [parallel.start(lambda: work(5)) for _ in range(8)]

        assert [5] * 8 == [task.result() for task in tasks]


class BuffersContract:
    """ports.system.Buffers; the fixture gives a budget of 100 bytes."""

    @pytest.fixture
    def buffers(self) -> Buffers:
        raise NotImplementedError

    def test_what_fits_is_given_at_once(self, buffers):
        """The whole budget may be taken, in pieces."""
        buffers.take(60)
        assert buffers.try_take(40)
        assert not buffers.try_take(1)

    def test_take_waits_for_give(self, buffers):
        """Who does not fit waits until enough was given back."""
        buffers.take(60)
        buffers.take(40)
        second = Aside(lambda: buffers.take(50))

        assert second.waits()
        buffers.give(40)
        assert second.waits()
        buffers.give(60)

        assert second.ends()

    def test_a_wait_ends(self, buffers):
        """Who gets nothing in time is told so, holds nothing and stands in nobody's way."""
        buffers.take(60)
        with pytest.raises(Busy):
            buffers.take(50, 20)

        assert buffers.try_take(40)
        buffers.give(100)
        assert buffers.try_take(100)

    def test_hold_gives_back(self, buffers):
        """Also when the context ends in an error."""
        with pytest.raises(KeyError), buffers.hold(100):
            assert not buffers.try_take(1)
            raise KeyError

        assert buffers.try_take(100)

    def test_first_come_first_served(self, buffers):
        """A large request is not starved by small ones that would fit."""
        buffers.take(50)
        large = Aside(lambda: buffers.take(90))
        assert large.waits()
        small = Aside(lambda: buffers.take(10))

        assert small.waits()
        assert not buffers.try_take(10)
        buffers.give(50)

        assert large.ends()
        assert small.ends()

    def test_more_than_there_is_goes_alone(self, buffers):
        """A request larger than the budget waits for all others and is then let through."""
        buffers.take(10)
        huge = Aside(lambda: buffers.take(1_000))
        assert huge.waits()
        buffers.give(10)
        assert huge.ends()

        assert not buffers.try_take(1)
        buffers.give(1_000)
        assert buffers.try_take(100)

    def test_never_more_than_the_budget(self, buffers):
        """Eight threads taking and giving never hold more than 100 bytes together."""
        taken, peak, lock = [0], [0], threading.Lock()

        def work(size):
            for _ in range(50):
                with buffers.hold(size):
                    with lock:
                        taken[0] += size
                        peak[0] = max(peak[0], taken[0])
                    with lock:
                        taken[0] -= size

        threads = [threading.Thread(target=work, args=(size,)) for size in (10, 20, 30, 45) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)

        assert 0 == taken[0]
        assert peak[0] <= 100
        assert buffers.try_take(100)


class LocksContract:
    """ports.system.Locks; `locks` is patient for longer than a test, `hasty` for 100 ms."""

    @pytest.fixture
    def locks(self) -> Locks:
        raise NotImplementedError

    @pytest.fixture
    def hasty(self) -> Locks:
        raise NotImplementedError

    def test_one_at_a_time(self, locks):
        """A second thread with the same name waits until the first has left."""

        def enter():
            with locks.hold("name"):
                pass

        with locks.hold("name"):
            second = Aside(enter)
            assert second.waits()

        assert second.ends()

    def test_other_names_do_not_wait(self, locks):
        """Any number of names may be held together."""
        with ExitStack() as stack:
            for name in ("", "a", "b", "../c", "x" * 5000, "ü\0/"):
                stack.enter_context(locks.hold(name))

    def test_released_by_an_error(self, locks):
        """An exception inside lets go."""
        with pytest.raises(KeyError), locks.hold("name"):
            raise KeyError

        with locks.hold("name"):
            pass

    def test_nobody_is_ever_beside_another(self, locks):
        """Eight threads, fifty times each."""
        inside, together = [0], []

        def work():
            for _ in range(50):
                with locks.hold("name"):
                    inside[0] += 1
                    if inside[0] != 1:
                        together.append(inside[0])
                    time.sleep(0)
                    inside[0] -= 1

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(4 * SOON)

        assert [] == together
        assert not any(thread.is_alive() for thread in threads)

    def test_held_too_long_is_let_go(self, hasty):
        """Patience ends: the second is let in beside the first, and leaving breaks nothing."""
        with hasty.hold("name"):
            with hasty.hold("name"):
                pass
            still = []
            with hasty.hold("name"):
                still.append("let in")

        with hasty.hold("name"):
            assert ["let in"] == still


class HashingContract:
    """ports.system.Hashing."""

    @pytest.fixture
    def hashing(self) -> Hashing:
        raise NotImplementedError

    def test_known_values(self, hashing):
        """The digests of nothing that BLAKE3's and xxHash's own papers, and FIPS 180-4, give."""
        assert "e3b0c44298fc1c149afbf4c8996fb924" == hashing.sha256(b"").hex()[:32]
        assert "af1349b9f5f9a1a6a0404dea36dcc949" == hashing.hash(b"").hex()[:32]
        assert "99aa06d3014798d86001c324468d497f" == hashing.check(b"").hex()

    def test_any_buffer_hashes_alike(self, hashing):
        """bytes, bytearray and memoryview of the same bytes, small and large."""
        for body in (b"abc", bytes(3_000_000)):
            for function, size in ((hashing.hash, 32), (hashing.sha256, 32), (hashing.check, 16)):
                digests = {function(kind(body)) for kind in (bytes, bytearray, memoryview)}
                assert [size] == [len(digest) for digest in digests]


class VaultContract:
    """ports.system.Vault; `other` is the vault of another site."""

    @pytest.fixture
    def vault(self) -> Vault:
        raise NotImplementedError

    @pytest.fixture
    def other(self) -> Vault:
        raise NotImplementedError

    @pytest.mark.parametrize("secret", ["", "s3cr3t", "x" * 5000, "ü€\0"])
    def test_wrap_round_trip(self, vault, secret):
        """What was wrapped is unwrapped, given the same context."""
        assert secret == vault.unwrap(vault.wrap(secret, "user/1"), "user/1")

    @pytest.mark.parametrize("secret", ["", "s3cr3t", "x" * 5000, "ü€\0"])
    def test_seal_round_trip(self, vault, other, secret):
        """What others seal for a site it can open."""
        assert secret == vault.unseal(other.seal(vault.public_key(), secret, "user/1"), "user/1")

    @pytest.mark.parametrize("secret", ["", "s3cr3t", "x" * 5000, "ü€\0"])
    def test_keep_round_trip(self, vault, other, secret):
        """What was sealed for a site is kept in a form it opens, as it opens what it wrapped itself."""
        kept = vault.keep(other.seal(vault.public_key(), secret, "user/1"), "user/1")

        assert secret == vault.open(kept, "user/1")
        assert secret == vault.open(vault.wrap(secret, "user/1"), "user/1")
        for verb in (lambda: vault.open(kept, "user/2"), lambda: other.open(kept, "user/1")):
            with pytest.raises(Corrupt):
                verb()

    def test_the_secret_cannot_be_seen(self, vault, other):
        """Neither form holds the secret or its context, and no two forms are alike."""
        forms = [vault.wrap("s3cr3t", "user/1") for _ in range(3)]
        forms += [other.seal(vault.public_key(), "s3cr3t", "user/1") for _ in range(3)]

        assert 6 == len(set(forms))
        assert not any(b"s3cr3t" in form or b"user" in form for form in forms)

    def test_a_swapped_context_is_corrupt(self, vault, other):
        """One user's secret does not open as another's."""
        wrapped = vault.wrap("s3cr3t", "user/1")
        sealed = other.seal(vault.public_key(), "s3cr3t", "user/1")

        for verb in (lambda: vault.unwrap(wrapped, "user/2"), lambda: vault.unseal(sealed, "")):
            with pytest.raises(Corrupt):
                verb()

    def test_any_changed_byte_is_corrupt(self, vault, other):
        """Every byte of both forms is authenticated, and so is their length."""
        for form, opens in (
            (vault.wrap("s3cr3t", "c"), vault.unwrap),
            (other.seal(vault.public_key(), "s3cr3t", "c"), vault.unseal),
        ):
            changed = [form[:at] + bytes([form[at] ^ 1]) + form[at + 1 :] for at in range(len(form))]
            for damaged in (*changed, *(form[:at] for at in range(len(form))), form + b"\0"):
                with pytest.raises(Corrupt):
                    opens(damaged, "c")

    def test_another_site_cannot_open(self, vault, other):
        """Neither what is wrapped here nor what is sealed for here, not even its own seal."""
        wrapped, sealed = vault.wrap("s", "c"), other.seal(vault.public_key(), "s", "c")

        for verb in (lambda: other.unwrap(wrapped, "c"), lambda: other.unseal(sealed, "c")):
            with pytest.raises(Corrupt):
                verb()

    def test_the_two_forms_are_not_taken_for_each_other(self, vault):
        """A wrapped secret is not a sealed one."""
        with pytest.raises(Corrupt):
            vault.unseal(vault.wrap("s3cr3t" * 20, "c"), "c")
        with pytest.raises(Corrupt):
            vault.unwrap(vault.seal(vault.public_key(), "s", "c"), "c")

    @pytest.mark.parametrize("key", [b"", bytes(32), bytes(31), bytes(33)])
    def test_a_public_key_that_is_none_is_refused(self, vault, key):
        """Also a point of low order, for which anybody could open the seal."""
        with pytest.raises(ValueError):
            vault.seal(key, "s3cr3t", "c")

    def test_the_public_key_stays(self, vault, other):
        """32 bytes, a site's own."""
        assert 32 == len(vault.public_key())
        assert vault.public_key() == vault.public_key() != other.public_key()
