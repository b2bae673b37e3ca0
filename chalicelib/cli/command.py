"""What every command has: --json, how to find the site, examples in its help, an exit status that counts.

    @command(app, "list", "causeway user list --data west")
    def list_users(at: At) -> None: …           at.site asks the site, at.out shows the answer

The decorated function's own parameters become arguments and options as typer makes them; the common
options are added behind them. A Failure becomes one line and its exit status; nothing shows a traceback.
"""

from __future__ import annotations

import inspect
import shlex
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from chalicelib.cli.admin_client import AdminClient
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.output import Output
from chalicelib.cli.place import Place, find

_PANEL = "Which site"
EndpointUrl = Annotated[
    str,
    typer.Option(
        envvar="AWS_ENDPOINT_URL",
        metavar="URL",
        help="The site's endpoint; keys come from the AWS credentials chain.",
        rich_help_panel=_PANEL,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        envvar="CAUSEWAY_DATA",
        metavar="DIR",
        help="The site's data directory on this machine; its admin.json names endpoint and keys.",
        rich_help_panel=_PANEL,
    ),
]
Profile = Annotated[
    str,
    typer.Option(envvar="AWS_PROFILE", metavar="NAME", help="A profile of ~/.aws.", rich_help_panel=_PANEL),
]
CaBundle = Annotated[
    str,
    typer.Option(
        envvar="AWS_CA_BUNDLE",
        metavar="FILE",
        help="The CA file that vouches for the site; the system's if unset.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Answer as JSON.")]


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
_JSON = _keyword("as_json", Json, False)
_SITE = (
    _keyword("endpoint_url", EndpointUrl, ""),
    _keyword("data", Data, None),
    _keyword("profile", Profile, ""),
    _keyword("ca_bundle", CaBundle, ""),
)


@dataclass
class At:
    """Where a command runs: the site it was pointed at, and where it shows what it found."""

    out: Output
    endpoint_url: str = ""
    data: Path | None = None
    profile: str = ""
    ca_bundle: str = ""
    again: str = ""  # the options that named the site on the command line, to end a command that is advised

    @cached_property
    def site(self) -> AdminClient:
        """The site; Failure if the options do not say which."""
        return AdminClient(self.place)

    @property
    def place(self) -> Place:
        """Where the site is."""
        return find(self.endpoint_url, self.data, self.profile, self.ca_bundle)


def command(
    app: typer.Typer, name: str, *examples: str, site: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command; `site` False for one that speaks to no running site."""

    def register(work: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        for one in own:
            _typeless(one.annotation)
        common = [*(_SITE if site else ()), _JSON]

        def run(**given: Any) -> None:
            out = Output(given.pop("as_json"))
            where = {one.name: given.pop(one.name) for one in common if one is not _JSON}
            at = At(out, **where, again=_again(given.pop("context"), where))
            _ending(out, lambda: work(at, **given))

        parameters = [*own, *common, _CONTEXT]
        run.__doc__ = _unwrapped(work.__doc__ or "")
        run.__name__ = work.__name__
        run.__module__ = work.__module__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        app.command(name, cls=_Command, epilog=_epilog(examples))(run)
        return work

    return register


def _again(context: typer.Context, where: dict[str, Any]) -> str:
    """Those of the options `where` that were typed; what the environment said, it will say again."""
    typed = ""
    for name, value in where.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            typed += f" --{name.replace('_', '-')} {shlex.quote(str(value))}"
    return typed


def _unwrapped(text: str) -> str:
    """A docstring's paragraphs, one line each: typer would keep our line ends besides its own."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _typeless(annotation: Any) -> None:
    """A flag takes no value, so none is shown behind it."""
    if getattr(annotation, "__origin__", None) is bool:
        for option in annotation.__metadata__:
            option.metavar = ""


def _epilog(examples: tuple[str, ...]) -> str:
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  $ {escape(line)}" for line in examples)])


def _ending(out: Output, work: Callable[[], None]) -> None:
    """Run `work`; whatever stops it becomes one line and an exit status."""
    try:
        work()
    except Failure as failure:
        if str(failure):
            out.failed(failure.code, str(failure))
        raise typer.Exit(failure.exit) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:  # `causeway … | head`: whoever read has seen enough
        raise typer.Exit(Exit.OK) from None
    except typer.Exit:
        raise
    except Exception as bug:
        where = traceback.extract_tb(bug.__traceback__)[-1]
        told = f"{type(bug).__name__}: {bug} ({Path(where.filename).name}:{where.lineno})"
        out.failed("Bug", f"this is a mistake of causeway itself, please report it: {told}")
        raise typer.Exit(Exit.BUG) from None


class _Command(TyperCommand):
    """A command whose --help takes no value, as _typeless says of its other flags."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help."""
        return _of_no_type(super().get_help_option(ctx))


class Group(TyperGroup):
    """The same of a group of commands."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help."""
        return _of_no_type(super().get_help_option(ctx))


def _of_no_type(option: Any) -> Any:
    if option is not None:
        option.metavar = ""
    return option


def noun(name: str, told: str, default: str = "") -> typer.Typer:
    """A group of commands; `default` is meant where none of them is named."""

    class Named(Group):
        """Knows what is meant."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            """Puts the default before options that begin the line."""
            if default and args[:1] != ["--help"] and (not args or args[0].startswith("-")):
                args = [default, *args]
            return super().parse_args(ctx, args)

    return typer.Typer(name=name, help=told, no_args_is_help=not default, rich_markup_mode="rich", cls=Named)
