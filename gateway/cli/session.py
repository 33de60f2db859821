"""`siptg session …`"""

from __future__ import annotations

import asyncio

import click

from gateway.cli.asking import alone, ask, quiet_settings
from gateway.cli.output import OUT, show
from gateway.control.requests import ChangeSession, ListSessions, LogOutSession
from gateway.control.rpc import hand_over
from gateway.control.views import AccountView


@click.group("session")
def command() -> None:
    """Session accounts: the Telegram users that take and make the calls."""


@command.command("login")
@click.argument("number", required=False)
@click.option("--qr", is_flag=True, help="Log in by scanning a QR code with the app.")
def session_login(number: str | None, *, qr: bool) -> None:
    """Connect a Telegram account by its phone NUMBER and the code it is sent."""
    from gateway.telegram.login import log_out  # noqa: PLC0415 - Telegram's library is needed here alone
    from gateway.terminal.login import log_in  # noqa: PLC0415

    settings = quiet_settings()

    async def connect() -> AccountView:
        login = await log_in(settings.telegram, number, qr=qr)
        return await hand_over(
            settings.state, lambda: alone(settings), login, lambda secret: log_out(settings.telegram, secret)
        )

    view = asyncio.run(connect())
    account = view.account
    OUT.print(f"Connected: session {account.id}, {account.name or account.phone} (+{account.phone}).")
    if not view.lines:
        OUT.print(f"It has no line to a PBX yet: siptg line add --session {account.id} --kind …")


@command.command("list")
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
        for view in ask(ListSessions())
    ]
    show(("session", "phone", "username", "name", "state", "", "calls at most", "lines"), rows, "siptg session login")


@command.command("logout")
@click.argument("session_id", type=int)
@click.option("--with-lines", is_flag=True, help="Delete its lines to PBXs, too.")
def session_logout(session_id: int, *, with_lines: bool) -> None:
    """Log an account out of Telegram, and forget it."""
    ask(LogOutSession(session_id, with_lines))
    OUT.print(f"Session {session_id} is logged out.")


@command.command("set")
@click.argument("session_id", type=int)
@click.option("--enabled/--disabled", default=None, help="Whether it takes and makes calls.")
@click.option("--call-limit", type=int, help="How many calls it may have at once.")
@click.option("--administrator", type=int, help="Telegram id of its administrator; 0: none.")
def session_set(session_id: int, enabled: bool | None, call_limit: int | None, administrator: int | None) -> None:
    """Change an account's settings."""
    account = ask(ChangeSession(session_id, enabled, call_limit, administrator)).account
    OUT.print(f"Session {account.id}: {'on' if account.enabled else 'off'}, {account.call_limit} calls at most.")
