"""`users` and `tokens`: who may log in to the console and the API."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import tokens, users
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile, user_of_system
from gateway.cli.output import complain, say, say_answer, say_json
from gateway.clock import now
from gateway.records.person import Login, Person, Role

if TYPE_CHECKING:
    from gateway.operations.answers.people import TokenState, UserState

Name = Annotated[str, typer.Argument(help="Name of the user")]
TokenName = Annotated[str, typer.Argument(help="Name of the client that has the token")]


@users.command("add", epilog="Example: gateway users add ada --role admin")
def add_user(
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="What the user may do")] = Role.VIEWER,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a user, and print the link on which the user sets a password, once, within a day."""
    from gateway.operations.people import users as operation

    _change(config, as_json, partial(operation.add, name=name, role=role))


@users.command("list", epilog="Example: gateway users list --json")
def list_users(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Users with their roles and last logins."""
    from gateway.operations.people import users as operation

    listed = with_store(configuration(config), lambda store: store.read(operation.listing)).users
    if as_json:
        say_json([one.model_dump(mode="json") for one in listed])
        return
    for one in listed:
        say(_user_line(one))
    if not listed:
        say("there are no users")


def _user_line(user: UserState) -> str:
    state = "" if user.enabled else "  disabled"
    state += "" if user.has_password or user.login is not Login.PASSWORD else "  no password yet"
    seen = f"last login {user.seen_at[:19]}Z" if user.seen_at else "no login yet"
    return f"{user.name}  {user.role}  {user.login}  {seen}{state}"


@users.command("role", epilog="Example: gateway users role otto operator")
def give_role(
    name: Name,
    role: Annotated[Role, typer.Argument(help="What the user may do from now on")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give a user another role; the user's sessions end."""
    from gateway.operations.people import users as operation

    _change(config, as_json, partial(operation.give_role, name=name, role=role))


@users.command("disable", epilog="Example: gateway users disable otto")
def disable(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Let the user in again")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a user in no more; the user's sessions end."""
    from gateway.operations.people import users as operation

    _change(config, as_json, partial(operation.enable, name=name, enabled=undo))


@users.command("link", epilog="Example: gateway users link otto")
def link(name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print a new link on which a user sets a password, once, within a day."""
    from gateway.operations.people import users as operation

    _change(config, as_json, partial(operation.link, name=name))


@tokens.command("add", epilog="Example: gateway tokens add ct1 --scanner CT1 --days 365")
def add_token(
    name: TokenName,
    role: Annotated[Role | None, typer.Option("--role", help="At the console and the API")] = None,
    scanner: Annotated[str, typer.Option("--scanner", help="AE title of the scanner that it is for")] = "",
    days: Annotated[float | None, typer.Option("--days", min=0.001, max=3650, help="How long it counts")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an API token, and print it this once: with a role, or for a scanner that speaks DICOMweb."""
    from gateway.operations.people import tokens as operation

    if (role is None) == (not scanner):
        raise typer.BadParameter("give --role, or --scanner")
    _change(config, as_json, partial(operation.make, name=name, role=role, scanner=scanner, days=days))
    if not as_json:
        complain("keep it: it is shown this once")


@tokens.command("list", epilog="Example: gateway tokens list --json")
def list_tokens(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """API tokens with what they open, until when, and when they were used last."""
    from gateway.operations.people import tokens as operation

    listed = with_store(configuration(config), lambda store: store.read(partial(operation.listing, now=now()))).tokens
    if as_json:
        say_json([one.model_dump(mode="json") for one in listed])
        return
    for one in listed:
        say(_token_line(one))
    if not listed:
        say("there are no tokens")


def _token_line(token: TokenState) -> str:
    opens = f"scanner {token.ae_title}" if token.ae_title else str(token.role)
    ends = f"until {token.expires_at[:19]}Z" if token.expires_at else "without an end"
    used = f"last used {token.last_used_at[:19]}Z" if token.last_used_at else "not used yet"
    state = "" if token.counts else "  revoked" if token.revoked_at else "  expired"
    return f"{token.name}  {opens}  {ends}  {used}{state}"


@tokens.command("revoke", epilog="Example: gateway tokens revoke ct1")
def revoke(name: TokenName, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Let a token open nothing from now on."""
    from gateway.operations.people import tokens as operation

    _change(config, as_json, partial(operation.revoke, name=name))


def _change(config: ConfigFile, as_json: bool, change: Callable[..., Any]) -> None:
    settings = configuration(config)
    person = Person(user_of_system(), Role.ADMIN, "", Login.COMMAND)
    work = partial(change, person=person, now=now())
    say_answer(with_store(settings, lambda store: store.write(work)), as_json=as_json)
