"""The command line: `siptg …`. What a person sees of an error is a sentence, and the exit code is not zero."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from gateway import log
from gateway.app import serve as serve_gateway
from gateway.app import store_alone
from gateway.call.model import LineKind
from gateway.check import examine
from gateway.control.accounts import AccountView
from gateway.control.coverage import EVERYBODY
from gateway.control.requests import (
    AddLine,
    Answer,
    ChangeSession,
    ChooseRouting,
    EditLine,
    ExportCalls,
    GrantSubscription,
    ListCalls,
    ListLines,
    ListSessions,
    ListSubscriptions,
    LogOutSession,
    RemoveLine,
    Request,
    RevokeSubscription,
    ShowCredentials,
    ShowRouting,
)
from gateway.control.rpc import hand_over, reaching, running
from gateway.errors import GatewayError
from gateway.provisioning import FIELDS, RecipeKind
from gateway.settings import Settings, load
from gateway.storage import Subscription
from gateway.telegram.account import AccountState
from gateway.telegram.login import log_out

OUT: Final = Console(highlight=False)


class _Commands(click.Group):
    """Foreseen errors are sentences; a fault of ours keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException(str(error)) from error
        except ExceptionGroup as group:  # the open parts of the house own task groups, and those wrap what passes
            if (foreseen := _foreseen(group)) is None:
                raise
            raise click.ClickException(foreseen) from group


def _foreseen(group: ExceptionGroup[Exception]) -> str | None:
    """What a group says, if it holds nothing but foreseen errors."""
    said = [_foreseen(one) if isinstance(one, ExceptionGroup) else _sentence(one) for one in group.exceptions]
    return None if None in said else "\n".join(dict.fromkeys(filter(None, said)))


def _sentence(error: Exception) -> str | None:
    return str(error) if isinstance(error, GatewayError) else None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="siptg")
def main() -> None:
    """Gateway between Telegram voice calls and telephone exchanges.

    Settings come from the environment (SIPTG_…) and from the file .env.
    """


def _settings() -> Settings:
    settings = load()
    log.configure(settings.log.level, settings.log.style)
    return settings


def _ask(request: Request[Answer]) -> Answer:
    """Ask the running gateway; or, when none runs, do it on its store."""
    settings = load()
    log.configure("warning", settings.log.style)

    async def ask() -> Answer:
        async with reaching(settings.state, lambda: store_alone(settings)) as answer:
            return await answer(request)

    return asyncio.run(ask())


# Running


@main.command()
def serve() -> None:
    """Run the gateway. SIGTERM lets running calls end first; SIGINT stops now."""
    asyncio.run(serve_gateway(_settings()))


@main.command()
def status() -> None:
    """Tell how the running gateway is; fails when none runs, or when it does not answer."""

    async def look(settings: Settings) -> str:
        if (answer := await running(settings.state)) is None:
            raise GatewayError(f"No gateway runs on {settings.state}: siptg serve")
        sessions = [view for view in await answer(ListSessions()) if view.logged_in]
        online = sum(view.status.state is AccountState.ONLINE for view in sessions)
        return f"The gateway is up; {online} of {len(sessions)} sessions are online."

    OUT.print(asyncio.run(look(load())))


@main.command()
def check() -> None:
    """Tell what is missing for the gateway to run."""

    async def look(settings: Settings) -> bool:
        well = True
        async for finding in examine(settings):
            mark = "[green]ok[/]" if finding.well else "[red]missing[/]" if finding.needed else "[yellow]note[/]"
            OUT.print(f"{mark:>16}  {finding.what}: {finding.found}")
            if finding.advice:
                OUT.print(f"          {finding.advice}")
            well = well and (finding.well or not finding.needed)
        return well

    settings = load()
    log.configure("error")
    if not asyncio.run(look(settings)):
        sys.exit(1)
    OUT.print("Ready: siptg serve")


@main.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("demo-output"), help="For recordings and state."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; the story goes to standard error.")
@click.option("--stay", is_flag=True, help="Keep everything up, and tell how to call in.")
@click.option("--verbose", is_flag=True, help="Show the log as well.")
def demo(folder: Path, *, as_json: bool, stay: bool, verbose: bool) -> None:
    """Make a call each way between a local Telegram and a local phone; no account is needed."""
    from gateway.sandbox.network import enter_private_network  # noqa: PLC0415 - needed here alone

    if not stay:  # whoever stays is to be reached by a softphone
        enter_private_network()
    # After that: some of these start threads, which could not follow.
    from gateway.demo.command import run  # noqa: PLC0415

    log.configure("info" if verbose else "error")
    if not _until_signal(lambda stop: run(folder, stop, as_json=as_json, stay=stay)):
        sys.exit(1)


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("sandbox"), help="Where its state is kept.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9443, show_default=True, help="Of MTProto.")
@click.option("--control-port", default=9480, show_default=True, help="Of its HTTP control.")
@click.option("--bot-api-port", default=9481, show_default=True, help="Of the Bot API.")
def sandbox(folder: Path, host: str, port: int, control_port: int, bot_api_port: int) -> None:
    """Run a local Telegram, to try things on."""
    from gateway.sandbox.server import run  # noqa: PLC0415 - the sandbox needs packages that a gateway does not

    log.configure("info")
    run(folder, host, port, control_port, bot_api_port)


def _until_signal(work: Any) -> Any:
    """Run `work(stop)` with an event that the first SIGINT or SIGTERM sets."""

    async def run() -> Any:
        stop = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        return await work(stop)

    return asyncio.run(run())


# Session accounts


@main.group()
def session() -> None:
    """Session accounts: the Telegram users that take and make the calls."""


@session.command("login")
@click.argument("number", required=False)
@click.option("--qr", is_flag=True, help="Log in by scanning a QR code with the app.")
def session_login(number: str | None, *, qr: bool) -> None:
    """Connect a Telegram account by its phone NUMBER and the code it is sent."""
    from gateway.terminal.login import log_in  # noqa: PLC0415

    settings = load()
    log.configure("warning", settings.log.style)

    async def connect() -> AccountView:
        login = await log_in(settings.telegram, number, qr=qr)
        return await hand_over(
            settings.state, lambda: store_alone(settings), login, lambda secret: log_out(settings.telegram, secret)
        )

    view = asyncio.run(connect())
    account = view.account
    OUT.print(f"Connected: session {account.id}, {account.name or account.phone} (+{account.phone}).")
    if not view.lines:
        OUT.print(f"It has no line to a PBX yet: siptg line add --session {account.id} --kind …")


@session.command("list")
def session_list() -> None:
    """Show all session accounts and how they are."""
    rows = [
        (
            str(view.account.id),
            f"+{view.account.phone}",
            f"@{view.account.username}" if view.account.username else "",
            view.account.name,
            view.status.state.value,
            view.status.detail,
            str(view.account.call_limit),
            str(view.lines),
        )
        for view in _ask(ListSessions())
    ]
    _show(("session", "phone", "username", "name", "state", "", "calls at most", "lines"), rows, "siptg session login")


@session.command("logout")
@click.argument("session_id", type=int)
@click.option("--with-lines", is_flag=True, help="Delete its lines to PBXs, too.")
def session_logout(session_id: int, *, with_lines: bool) -> None:
    """Log an account out of Telegram, and forget it."""
    _ask(LogOutSession(session_id, with_lines))
    OUT.print(f"Session {session_id} is logged out.")


@session.command("set")
@click.argument("session_id", type=int)
@click.option("--enabled/--disabled", default=None, help="Whether it takes and makes calls.")
@click.option("--call-limit", type=int, help="How many calls it may have at once.")
@click.option("--administrator", type=int, help="Telegram id of its administrator; 0: none.")
def session_set(session_id: int, enabled: bool | None, call_limit: int | None, administrator: int | None) -> None:
    """Change an account's settings."""
    account = _ask(ChangeSession(session_id, enabled, call_limit, administrator)).account
    OUT.print(f"Session {account.id}: {'on' if account.enabled else 'off'}, {account.call_limit} calls at most.")


# Lines

_KINDS: Final = {
    LineKind.PBX_REGISTERS: "the PBX registers with us",
    LineKind.WE_REGISTER: "we register with the PBX",
    LineKind.TRUNK: "IP to IP, nobody registers",
}


@main.group()
def line() -> None:
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


@line.command("add")
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
    view = _ask(AddLine(session_id, LineKind(kind), _fields(fields)))
    OUT.print(f"Line {view.line.id} ({view.line.name}) is added.")
    if view.line.kind is LineKind.PBX_REGISTERS:
        _show_credentials(view.line.id, reset=False)
    else:
        OUT.print(f"{view.state.health.value}: {view.state.detail}")


@line.command("list")
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
        for view in _ask(ListLines())
    ]
    headings = ("line", "session", "name", "kind", "transport", "priority", "number", "state", "")
    _show(headings, rows, "siptg line add")


@line.command("set")
@click.argument("line_id", type=int)
@click.argument("fields", nargs=-1, required=True)
def line_set(line_id: int, fields: tuple[str, ...]) -> None:
    """Change FIELDS of a line, such as priority=20 codecs=alaw,ulaw enabled=off."""
    view = _ask(EditLine(line_id, _fields(fields)))
    OUT.print(f"Line {view.line.id} is changed. {view.state.health.value}: {view.state.detail}")


@line.command("credentials")
@click.argument("line_id", type=int)
@click.option("--reset", is_flag=True, help="Draw a new password first.")
def line_credentials(line_id: int, *, reset: bool) -> None:
    """Show what the PBX needs to register with us."""
    _show_credentials(line_id, reset=reset)


def _show_credentials(line_id: int, *, reset: bool) -> None:
    given = _ask(ShowCredentials(line_id, reset))
    OUT.print("Type this into the PBX:")
    for name, value in (
        ("server", f"{given.host}:{given.port} ({given.transport.value})"),
        ("login", given.login),
        ("password", given.password),
    ):
        OUT.print(f"  {name:10}{value}", markup=False)


@line.command("remove")
@click.argument("line_id", type=int)
def line_remove(line_id: int) -> None:
    """Delete a line; calls on it go on to their end."""
    _ask(RemoveLine(line_id))
    OUT.print(f"Line {line_id} is deleted.")


@line.command("route")
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
        view = _ask(ShowRouting(line_id))
    else:
        kind = RecipeKind(recipe) if recipe and not straight else None
        given = dict(text.partition("=")[::2] for text in fields)
        view = _ask(ChooseRouting(line_id, kind, given, apply=not dry_run))
    OUT.print(view.text or f"Calls of line {line_id} go straight to its number.", markup=False)
    if view.refused:
        OUT.print(f"Not applied: {view.refused}", markup=False)


# Subscriptions


@main.group()
def plan() -> None:
    """Subscriptions: what administrators may use. Without any, nothing is limited."""


#: A person says "everybody" of what counts for those who have no subscription of their own.
_EVERYBODY: Final = "everybody"


def _administrator(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    if text == _EVERYBODY:
        return EVERYBODY
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise click.BadParameter(f"a Telegram user id, such as 123456789, or “{_EVERYBODY}”.")
    return int(text)


@plan.command("grant")
@click.argument("administrator", callback=_administrator)
@click.option("--calls", type=click.IntRange(0), help="Simultaneous calls, of all sessions together.")
@click.option("--sessions", type=click.IntRange(0), help="Session accounts that it covers.")
@click.option("--minutes", type=click.IntRange(0), help="Conversation in a calendar month.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="In UTC.")
def plan_grant(
    administrator: int, calls: int | None, sessions: int | None, minutes: int | None, expires: dt.datetime | None
) -> None:
    """Grant ADMINISTRATOR (a Telegram id, or everybody) a subscription, instead of what he had."""
    until = expires.replace(tzinfo=dt.UTC) if expires else None
    _ask(GrantSubscription(Subscription(administrator, calls, sessions, minutes, until)))
    OUT.print("Granted.")


@plan.command("revoke")
@click.argument("administrator", callback=_administrator)
def plan_revoke(administrator: int) -> None:
    """Take a subscription back; what everybody has counts from then on."""
    _ask(RevokeSubscription(administrator))
    OUT.print("Revoked.")


@plan.command("list")
def plan_list() -> None:
    """Show all subscriptions and how much of them is used."""
    rows = []
    for view in _ask(ListSubscriptions()):
        granted = view.subscription
        limits = ("" if limit is None else str(limit) for limit in (granted.calls, granted.sessions, granted.minutes))
        until = f"{granted.expires_at:%Y-%m-%d %H:%M}" if granted.expires_at else ""
        used = "" if granted.administrator_id == EVERYBODY else f"{view.used_s / 60:.0f} min"
        who = str(granted.administrator_id or _EVERYBODY)
        rows.append((who, *limits, until + (" (over)" if view.expired else ""), used))
    headings = ("administrator", "calls", "sessions", "minutes", "until", "used this month")
    _show(headings, rows, "siptg plan grant; nothing is limited without one")


# Calls


@main.command()
@click.option("--live", is_flag=True, help="Those that are up now.")
@click.option("--days", type=float, help="Not older than this.")
@click.option("--limit", default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="All columns, for a spreadsheet.")
def calls(*, live: bool, days: float | None, limit: int, as_csv: bool) -> None:
    """Show calls: when, who, how long, and why they ended."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days) if days else None
    if as_csv:
        sys.stdout.write(_ask(ExportCalls(since)))
        return
    rows = [
        (
            f"{record.offered_at.astimezone():%Y-%m-%d %H:%M:%S}",
            "→ Telegram" if record.direction.value == "sip-to-telegram" else "→ SIP",
            record.caller,
            record.dialled,
            f"{record.talk_s:.0f} s",
            record.state.value if live else record.ending.cause.value,
            record.ending.detail,
            " ".join(filter(None, (record.media.engine, record.media.version, record.media.path))),
        )
        for record in _ask(ListCalls(living=live, since=since, limit=limit))
    ]
    _show(("when", "way", "caller", "dialled", "talked", "state" if live else "ended", "", "audio by"), rows, "")


def _show(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], make: str) -> None:
    if not rows:
        OUT.print(f"None yet. Make one: {make}" if make else "None.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    OUT.print(table)


def _plain(text: str) -> str:
    """Without what a terminal or Rich would take for a command: names come from people."""
    return "".join(c for c in text if c.isprintable()).replace("[", "\\[")


if __name__ == "__main__":
    main()
