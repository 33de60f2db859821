"""`siptg line …`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from gateway.call.model import LineKind
from gateway.cli.asking import ask
from gateway.cli.output import OUT, show
from gateway.control.requests import (
    AddLine,
    ChooseRouting,
    EditLine,
    ListLines,
    RemoveLine,
    ShowCredentials,
    ShowRouting,
)
from gateway.errors import GatewayError
from gateway.provisioning.grammar import FIELDS
from gateway.provisioning.recipes import RecipeKind

_KINDS: Final = {
    LineKind.PBX_REGISTERS: "the PBX registers with us",
    LineKind.WE_REGISTER: "we register with the PBX",
    LineKind.TRUNK: "IP to IP, nobody registers",
}


@click.group("line")
def command() -> None:
    """Lines: the connections to PBXs."""


def _fields(texts: tuple[str, ...]) -> dict[str, str]:
    """`name=value` arguments. A value `@file` is read from that file, `@-` from standard input."""
    fields: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            raise GatewayError(f"“{text}” is not field=value. Fields are: {', '.join(FIELDS)}.")
        if value.startswith("@"):
            try:
                value = sys.stdin.read() if value == "@-" else Path(value[1:]).read_text()
            except OSError as error:
                raise GatewayError(f"{value[1:]} can't be read: {error.strerror}.") from error
            value = value.rstrip("\n")
        fields[name] = value
    return fields


@command.command("add")
@click.option("--session", "session_id", type=int, required=True, help="Whose calls it carries.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in LineKind]),
    required=True,
    help="; ".join(f"{kind.value}: {meaning}" for kind, meaning in _KINDS.items()),
)
@click.argument("fields", nargs=-1)
def line_add(session_id: int, kind: str, fields: tuple[str, ...]) -> None:
    """Add a line, with FIELDS such as name=office host=pbx.example.com:5060 login=100 password=@secret.txt.

    It works at once in a running gateway; calls that are up are not touched.
    """
    view = ask(AddLine(session_id, LineKind(kind), _fields(fields)))
    OUT.print(f"Line {view.line.id} ({view.line.name}) is added.")
    if view.line.kind is LineKind.PBX_REGISTERS:
        _show_credentials(view.line.id, reset=False)
    else:
        OUT.print(f"{view.state.health.value}: {view.state.detail}")


@command.command("list")
def line_list() -> None:
    """Show all lines and how they are."""
    rows = [
        (
            str(view.line.id),
            str(view.line.account_id),
            view.line.name,
            view.line.kind.value,
            view.line.transport.value + (", srtp" if view.line.srtp else ""),
            str(view.line.priority),
            view.line.number,
            view.state.health.value,
            view.state.detail,
        )
        for view in ask(ListLines())
    ]
    headings = ("line", "session", "name", "kind", "transport", "priority", "number", "state", "")
    show(headings, rows, "siptg line add")


@command.command("set")
@click.argument("line_id", type=int)
@click.argument("fields", nargs=-1, required=True)
def line_set(line_id: int, fields: tuple[str, ...]) -> None:
    """Change FIELDS of a line, such as priority=20 codecs=alaw,ulaw enabled=off."""
    view = ask(EditLine(line_id, _fields(fields)))
    OUT.print(f"Line {view.line.id} is changed. {view.state.health.value}: {view.state.detail}")


@command.command("credentials")
@click.argument("line_id", type=int)
@click.option("--reset", is_flag=True, help="Draw a new password first.")
def line_credentials(line_id: int, *, reset: bool) -> None:
    """Show what the PBX needs to register with us."""
    _show_credentials(line_id, reset=reset)


def _show_credentials(line_id: int, *, reset: bool) -> None:
    given = ask(ShowCredentials(line_id, reset))
    OUT.print("Type this into the PBX:")
    for name, value in (
        ("server", f"{given.host}:{given.port} ({given.transport.value})"),
        ("login", given.login),
        ("password", given.password),
    ):
        OUT.print(f"  {name:10}{value}", markup=False)


@command.command("remove")
@click.argument("line_id", type=int)
def line_remove(line_id: int) -> None:
    """Delete a line; calls on it go on to their end."""
    ask(RemoveLine(line_id))
    OUT.print(f"Line {line_id} is deleted.")


@command.command("route")
@click.argument("line_id", type=int)
@click.argument("recipe", type=click.Choice([kind.value for kind in RecipeKind]), required=False)
@click.argument("fields", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only show what would be written into the dialplan.")
@click.option("--straight", is_flag=True, help="Without a recipe: calls go straight to the line's number.")
def line_route(line_id: int, recipe: str | None, fields: tuple[str, ...], *, dry_run: bool, straight: bool) -> None:
    """Route a line's calls from Telegram by a RECIPE with FIELDS, such as hours times=9:00-18:00 closed_number=300.

    Without a recipe it shows how the line is routed.
    """
    if recipe is None and not straight:
        view = ask(ShowRouting(line_id))
    else:
        kind = RecipeKind(recipe) if recipe and not straight else None
        given = dict(text.partition("=")[::2] for text in fields)
        view = ask(ChooseRouting(line_id, kind, given, apply=not dry_run))
    OUT.print(view.text or f"Calls of line {line_id} go straight to its number.", markup=False)
    if view.refused:
        OUT.print(f"Not applied: {view.refused}", markup=False)
