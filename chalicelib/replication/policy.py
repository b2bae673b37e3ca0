"""Policy: what may leave a site. One pure function, asked when sending, when applying, when serving.

    replicates(bucket, to) → bool

A bucket's `sites` names who may hold it: "*" for everybody, else site ids; its home always may. A
bucket that stays home sends nothing: no record, no inline body, no block. Users replicate everywhere,
for a user that is disabled at one site must be refused at every site.
Source  DESIGN §3 *stays home*; riak_repl_cs.erl (research/riakcs.md §1.2).
"""

from __future__ import annotations

from chalicelib.domain.account import Bucket, may_hold


def replicates(bucket: Bucket | None, to: str) -> bool:
    """Whether site `to` may hold what is in `bucket`. A bucket nobody knows yet may go nowhere."""
    return bucket is not None and may_hold(bucket, to)
