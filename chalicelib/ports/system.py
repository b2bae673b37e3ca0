"""The clock, chance, parallel work, hashes and secrets: everything the core may not reach itself.

Clock     now_ms: wall clock, ms since 1970 UTC, may jump · sleep_ms: gives way for that long
Ids       token(n): n random bytes as 2n hex digits
Parallel  start(fn): run fn, maybe beside the caller; .result() waits and raises what fn raised
Buffers   hold(n): a context in which n bytes of the process's block-buffer budget are taken; Busy when
          nobody gives any back for too long
Locks     hold(name): a context only one holder in the *site's processes* is in at a time
Hashing   hash: BLAKE3, or sha256: SHA-256, 32 bytes, what a block's bytes must be · check: XXH3-128,
          16 bytes, for local reads
Vault     wrap/unwrap: a secret under this site's master key, bound to `context`
          seal(public_key, …)/unseal: a secret for one other site, bound to `context`
          keep/open: what was sealed for this site as it is stored here · what `wrap` or `keep` made
Log       one line per event, fields as keywords; never a secret
Source    DESIGN §4, §5; research/models.md §3.9.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

BUFFER_WAIT_MS = 10_000  # for the first buffer of a request: then the client had better come back later
BUFFER_WAIT_UNDER_WAY_MS = 60_000  # for the next one: about as long as clients themselves wait

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Clock(Protocol):
    """Time."""

    def now_ms(self) -> int:
        """Wall clock in ms since 1970 UTC."""

    def sleep_ms(self, ms: int) -> None:
        """Give way for `ms`."""


class Ids(Protocol):
    """Chance."""

    def token(self, nbytes: int) -> str:
        """`nbytes` random bytes as hex digits, unguessable."""


class Task(Protocol[T_co]):
    """Work that was started."""

    def result(self) -> T_co:
        """Wait for the end; the value, or raise what the work raised."""


class Parallel(Protocol):
    """Work beside the caller."""

    def start(self, work: Callable[[], T]) -> Task[T]:
        """Begin `work`; it may already have ended when this returns."""


class Buffers(Protocol):
    """The process's budget of block buffers."""

    def hold(self, nbytes: int) -> AbstractContextManager[None]:
        """Wait until `nbytes` of the budget are free, hold them inside the context."""

    def take(self, nbytes: int, wait_ms: int = BUFFER_WAIT_MS) -> None:
        """Wait until `nbytes` are free and take them; Busy after `wait_ms`. Whoever already holds some
        must not wait for more: with enough such requests each would wait for the others."""

    def try_take(self, nbytes: int) -> bool:
        """Take `nbytes` if they are free right now; never waits."""

    def give(self, nbytes: int) -> None:
        """Give back what `take` took."""


class Locks(Protocol):
    """Mutual exclusion among the processes of one site on one machine."""

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Be the only one inside the context with this name. Held too long is let go, never deadlocked:
        what it protects must be safe, merely wasteful, when two are inside."""


class Hashing(Protocol):
    """The hashes of a block."""

    def hash(self, body: bytes | bytearray | memoryview) -> bytes:
        """BLAKE3, 32 bytes."""

    def sha256(self, body: bytes | bytearray | memoryview) -> bytes:
        """SHA-256, 32 bytes."""

    def check(self, body: bytes | bytearray | memoryview) -> bytes:
        """XXH3-128, 16 bytes."""


class Vault(Protocol):
    """Keeper of secrets. Raises Corrupt when a wrapped or sealed secret was changed or swapped."""

    def wrap(self, secret: str, context: str) -> bytes:
        """The secret encrypted under the site's master key."""

    def unwrap(self, wrapped: bytes, context: str) -> str:
        """The secret that `wrap` took, given the same context."""

    def public_key(self) -> bytes:
        """What others seal for: 32 bytes X25519."""

    def seal(self, public_key: bytes, secret: str, context: str) -> bytes:
        """The secret encrypted so that only the owner of `public_key` can read it."""

    def unseal(self, sealed: bytes, context: str) -> str:
        """The secret that somebody sealed for this site."""

    def keep(self, sealed: bytes, context: str) -> bytes:
        """The form in which this site stores what somebody sealed for it."""

    def open(self, kept: bytes, context: str) -> str:
        """The secret in a form that `wrap` or `keep` made, wherever `keep` ran."""


class Log(Protocol):
    """Where events are told."""

    def event(self, name: str, **fields: object) -> None:
        """One line; `name` in words_with_underscores."""
