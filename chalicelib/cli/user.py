"""`causeway user`: who may use the store. The primary decides; every site learns of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from chalicelib.cli.command import At, command, noun
from chalicelib.cli.failure import usage
from chalicelib.cli.output import table, yes

app = noun("user", "Create, list and change users.")
AccessKey = Annotated[str, typer.Argument(metavar="ACCESS_KEY", help="The user's access key.")]
Email = Annotated[str | None, typer.Option(metavar="ADDRESS", help="An e-mail address, unique everywhere.")]


@command(app, "create", "causeway user create Ada", "causeway user create Ops --admin --data west --json")
def create(
    at: At,
    name: Annotated[str, typer.Argument(help="Who it is, for people.")],
    email: Email = None,
    admin: Annotated[bool, typer.Option("--admin", help="May administer every site.")] = False,
) -> None:
    """Create a user; the secret key is shown this once."""
    fields: dict[str, Any] = {"name": name, "admin": admin}
    if email is not None:
        fields["email"] = email
    _show_secret(at, at.site.post("users", **fields))


@command(app, "list", "causeway user list", "causeway user list --json | jq -r '.users[].access_key'")
def list_users(at: At) -> None:
    """List all users."""
    found = at.site.get("users")
    rows = [
        (
            u["access_key"],
            u["name"],
            u["email"] or "-",
            yes(u["admin"]),
            yes(u["enabled"]),
            _day(u["created_ms"]),
        )
        for u in found["users"]
    ]
    at.out.value(found, table(("access key", "name", "e-mail", "admin", "enabled", "created"), rows))


@command(app, "update", "causeway user update CW5ODPT2HJE7K7PA3Q --email ada@example.com")
def update(
    at: At,
    access_key: AccessKey,
    name: Annotated[str | None, typer.Option(help="Who it is, for people.")] = None,
    email: Email = None,
) -> None:
    """Change a user's name or e-mail address."""
    fields = {key: value for key, value in (("name", name), ("email", email)) if value is not None}
    if not fields:
        raise usage("give --name or --email")
    changed = at.site.post("users", access_key, **fields)
    at.out.value(changed, f"{access_key} is now {changed['name']} <{changed['email'] or 'no e-mail'}>")


@command(app, "disable", "causeway user disable CW5ODPT2HJE7K7PA3Q")
def disable(at: At, access_key: AccessKey) -> None:
    """Refuse a user at every site; what it stored stays."""
    _switch(at, access_key, enabled=False)


@command(app, "enable", "causeway user enable CW5ODPT2HJE7K7PA3Q")
def enable(at: At, access_key: AccessKey) -> None:
    """Let a disabled user in again."""
    _switch(at, access_key, enabled=True)


@command(app, "new-secret", "causeway user new-secret CW5ODPT2HJE7K7PA3Q")
def new_secret(at: At, access_key: AccessKey) -> None:
    """Replace a user's secret key; the new one is shown this once, the old one stops working."""
    _show_secret(at, at.site.post("users", access_key, new_secret=True))


def _switch(at: At, access_key: str, *, enabled: bool) -> None:
    changed = at.site.post("users", access_key, enabled=enabled)
    at.out.value(changed, f"{access_key} is {'enabled' if enabled else 'disabled'}")


def _show_secret(at: At, user: dict[str, Any]) -> None:
    at.out.value(
        user,
        f"export AWS_ACCESS_KEY_ID={user['access_key']}",
        f"export AWS_SECRET_ACCESS_KEY={user['secret_key']}",
        f"export AWS_ENDPOINT_URL={at.site.place.endpoint}",
    )
    at.out.note("Keep the secret key: it is not shown again. `causeway user new-secret` makes another.")


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
