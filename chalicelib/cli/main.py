"""The `causeway` command: the table of everything it can do.

Exit    0 done · 1 the answer is no (not caught up, a check failed) · 2 wrong use · 3 a site does not
        answer · 4 a site refused
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from chalicelib.cli import (
    bucket,
    connections,
    cp,
    demo,
    deploy,
    failed,
    fullsync,
    gc,
    proxy_get,
    realtime,
    serve,
    status,
    stores,
    user,
)
from chalicelib.cli.command import Group

app = typer.Typer(
    name="causeway",
    cls=Group,
    help="An S3-compatible object store over two or more sites, each answering on its own.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=(
        "Exit status: 0 done, 1 the answer is no (not caught up, a check failed), 2 wrong use, "
        "3 a site does not answer, 4 a site refused."
    ),
)


def _tell(wanted: bool) -> None:
    if wanted:
        print(f"causeway {version('causeway')}")
        raise typer.Exit


@app.callback()
def _options(
    tell: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell, is_eager=True, metavar="", help="Say which Causeway this is."
        ),
    ] = False,
) -> None:
    """An S3-compatible object store over two or more sites, each answering on its own."""


serve.register(app)
demo.register(app)
connections.register(app)
status.register(app)
gc.register(app)
cp.register(app)
for group in (
    failed.app,
    user.app,
    bucket.app,
    realtime.app,
    fullsync.app,
    proxy_get.app,
    deploy.app,
    stores.app,
):
    app.add_typer(group)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
