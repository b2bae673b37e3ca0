"""What can go wrong below the S3 protocol, sorted by what the caller must do.

    StoreError
    ├── Determinate            it did NOT happen: safe to try again, or to tell the client so
    │   ├── Conflict           a compare-and-set found another value: read again, decide again
    │   ├── Unavailable        the store or the peer refused before doing anything
    │   │   └── StoreDown      the same in a service's own words, which clients are not told
    │   ├── Busy               nobody gave a block buffer back in time: try again later
    │   └── NoRoom             below the free-space floor: reads and deletes still work
    ├── Indeterminate          it MAY have happened: read back and find out, never guess
    ├── Corrupt                stored bytes do not match their hash
    ├── Missing                bytes a record names are not here and no peer could give them
    └── Refused                a peer or a law says no; trying again will not help

Source  Materialize persist's Determinate/Indeterminate split (research/models.md §1).
"""


class StoreError(Exception):
    """Base of everything the ports may raise. Of another site that was asked:"""

    unreached = False  # there was not even a connection: it is down, whatever was asked of it
    unanswered = False  # nothing came in the time there was: it is down, or this was too much for it


class Determinate(StoreError):
    """It definitely did not happen."""


class Conflict(Determinate):
    """A compare-and-set found another value than expected."""


class Unavailable(Determinate):
    """The store or peer could not be asked; nothing happened."""


class StoreDown(Unavailable):
    """The same; the text is AWS's or MinIO's, names accounts, roles and tables, and is for the log alone."""


class Busy(Determinate):
    """This process has too much in hand to begin; trying again later will help."""


class NoRoom(Determinate):
    """The store is below its free-space floor."""


class Indeterminate(StoreError):
    """The call may have taken effect; the answer was lost."""


class Corrupt(StoreError):
    """Stored bytes do not match their hash or their version marker."""


class Missing(StoreError):
    """A block is not here and nobody who could be asked gave it."""


class Refused(StoreError):
    """Final no: a law, a policy or a peer forbids it."""
