"""Clerk: what people do with names at every site: users and buckets, decided by the primary.

A user asked for once is made at most once, however often the answer was lost; the site that was asked
knows what was decided before its client does. Some buckets are deleted and made again under one name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.account import Bucket, BucketState, User
from chalicelib.objects import accounts
from chalicelib.replication.policy import replicates
from tests.simulation.oracle import ACKED

if TYPE_CHECKING:
    from tests.simulation.clients import Client
    from tests.simulation.sites import Life

SHOPS = ("shop-0", "shop-1")


def turn(client: Client) -> None:
    """One decision, or an object in a bucket that may be deleted any moment."""
    chance = client.rng.random()
    if chance < 0.3:
        _create_user(client)
    elif chance < 0.55:
        _create_bucket(client)
    elif chance < 0.75:
        _delete_bucket(client)
    else:
        _use_shop(client)


def _decide(client: Client, kind: str, verb: str, arguments: dict[str, Any]) -> Any:
    op = client.oracle.begin(kind, client.site, "", "")

    def work(life: Life) -> Any:
        return life.node.names.decide(verb, {"owner": "alice", **arguments})

    decided = client.ask(op, work)
    if decided is not None:
        op.status = ACKED
    return decided


def _create_user(client: Client) -> None:
    name = f"user-{len(client.oracle.ops)}"
    email = f"{client.rng.randrange(6)}@example.org" if client.rng.random() < 0.3 else ""
    client.oracle.users.append(name)
    user = _decide(client, "create user", "create_user", {"name": name, "email": email})
    if user is None:
        return
    assert isinstance(user, User)
    if accounts.find_user(client.site.raw.site, user.access_key) is None:
        client.world.fail("durable", f"{client.site.name} was told of {name} and does not know it")


def _create_bucket(client: Client) -> None:
    name = client.rng.choice(SHOPS)
    sites = ["*"] if client.rng.random() < 0.7 else [client.site.name]
    bucket = _decide(client, "create bucket", "create_bucket", {"name": name, "sites": sites})
    if bucket is None:
        return
    assert isinstance(bucket, Bucket)
    known = client.site.watch.bucket(bucket.id)
    if known is None or known.stamp < bucket.stamp:
        client.world.fail("durable", f"{client.site.name} was told of {name} and does not know it")


def _delete_bucket(client: Client) -> None:
    bucket = _decide(client, "delete bucket", "delete_bucket", {"name": client.rng.choice(SHOPS)})
    if bucket is None:
        return
    known = client.site.watch.bucket(bucket.id)
    if known is None or known.state is not BucketState.DELETED:
        client.world.fail("durable", f"{client.site.name} was told that {bucket.name} is gone: {known}")


def _use_shop(client: Client) -> None:
    shops = [
        bucket.id
        for _, bucket in sorted(client.site.watch.buckets.items())
        if bucket.name in SHOPS and bucket.state is BucketState.OPEN and replicates(bucket, client.site.name)
    ]
    if not shops:
        return
    bucket_id = client.rng.choice(shops)
    kinds = (client.put_inline, client.put_blocks, client.delete, client.get)
    client.rng.choice(kinds)(bucket_id)
