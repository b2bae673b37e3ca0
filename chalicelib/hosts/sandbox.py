"""The site of one Lambda sandbox: wired while Lambda starts it, kept as long as it lives.

    start()      in Lambda: settings, tables, bucket and keys are looked at now; elsewhere nothing
    site()       the site; wired at the first use where start() did nothing, as in tests
    queues()     its queues
    settings()   what this function was told
    forget()     wire anew at the next use; for tests, which change the environment

What a function may do follows from its name, as its role does (infra/): only GC removes blocks, only the
administrator's function makes the master key.
Errors  SettingsError names everything that is wrong, before the first event; Lambda logs it and tells it to
        whoever invokes the function
Source  DESIGN §4; AWS Lambda developer guide, "Lambda execution environment lifecycle": INIT.
"""

from __future__ import annotations

import gc
from functools import cache

from chalicelib import bootstrap
from chalicelib.bootstrap import Powers
from chalicelib.hosts import faces
from chalicelib.ports.metadata import Table
from chalicelib.ports.queues import Queues
from chalicelib.settings import Settings, lambda_handler

_OTHERS = Powers(founds=False, deletes=False)
# What a sender notes: what it sent, whom it reached, how far a run is, trees, a block that came too late.
_SENDS = Powers(
    founds=False,
    deletes=False,
    raises=False,
    writes=frozenset({Table.OUTBOX, Table.TREE, Table.SITE, Table.UPLOADS}),
)
_OF_ACCOUNTS = frozenset({Table.USERS, Table.OUTBOX, Table.SITE})
POWERS = {
    "": bootstrap.EVERY_POWER,  # no function at all
    "on_documents": _SENDS,
    "sweep": _SENDS,
    "fullsync_step": _SENDS,
    "fullsync": Powers(
        founds=False, deletes=False, raises=False, writes=frozenset({Table.SITE}), bucket=False
    ),
    "collect": Powers(
        founds=False,
        deletes=True,
        raises=False,
        writes=frozenset({Table.UPLOADS, Table.BUCKETS, Table.OUTBOX}),
    ),
    "administrator": Powers(founds=True, deletes=False, writes=_OF_ACCOUNTS, bucket=False),
}


@cache
def settings() -> Settings:
    """What CAUSEWAY_* variables say."""
    return Settings.read()


@cache
def site() -> bootstrap.Wired:
    """The site of this sandbox."""
    powers = POWERS.get(lambda_handler().rpartition(".")[2], _OTHERS)
    return bootstrap.build_function(settings(), faces.routes, powers)


@cache
def queues() -> Queues:
    """Where its messages go."""
    return bootstrap.open_queues(settings())


def start() -> None:
    """Called at the end of the functions' module, which has the garbage collector wait from its beginning;
    `chalice package` imports that module, too."""
    try:
        if lambda_handler().partition(".")[0] == "app":
            site()
            gc.freeze()
    finally:
        gc.enable()


def forget() -> None:
    """For tests."""
    queues.cache_clear()
    site.cache_clear()
    settings.cache_clear()
