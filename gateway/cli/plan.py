"""`siptg plan …`"""

from __future__ import annotations

import datetime as dt
from typing import Final

import click

from gateway.cli.asking import ask
from gateway.cli.output import OUT, show
from gateway.control.requests import GrantSubscription, ListSubscriptions, RevokeSubscription
from gateway.control.views import EVERYBODY
from gateway.storage.model import Subscription


@click.group("plan")
def command() -> None:
    """Subscriptions: what administrators may use. Without any, nothing is limited."""


#: A person says "everybody" of what counts for those who have no subscription of their own.
_EVERYBODY: Final = "everybody"


def _administrator(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    if text == _EVERYBODY:
        return EVERYBODY
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise click.BadParameter(f"a Telegram user id, such as 123456789, or “{_EVERYBODY}”.")
    return int(text)


@command.command("grant")
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
    ask(GrantSubscription(Subscription(administrator, calls, sessions, minutes, until)))
    OUT.print("Granted.")


@command.command("revoke")
@click.argument("administrator", callback=_administrator)
def plan_revoke(administrator: int) -> None:
    """Take a subscription back; what everybody has counts from then on."""
    ask(RevokeSubscription(administrator))
    OUT.print("Revoked.")


@command.command("list")
def plan_list() -> None:
    """Show all subscriptions and how much of them is used."""
    rows = []
    for view in ask(ListSubscriptions()):
        granted = view.subscription
        limits = ("" if limit is None else str(limit) for limit in (granted.calls, granted.sessions, granted.minutes))
        until = f"{granted.expires_at:%Y-%m-%d %H:%M}" if granted.expires_at else ""
        used = "" if granted.administrator_id == EVERYBODY else f"{view.used_s / 60:.0f} min"
        who = str(granted.administrator_id or _EVERYBODY)
        rows.append((who, *limits, until + (" (over)" if view.expired else ""), used))
    headings = ("administrator", "calls", "sessions", "minutes", "until", "used this month")
    show(headings, rows, "siptg plan grant; nothing is limited without one")
