"""Where an offer goes. Pure: accounts and lines in, routes or a refusal out."""

from __future__ import annotations

from gateway.call.model import Account, Direction, Route
from gateway.call.numbers import caller_of, dialled_peer
from gateway.call.ports import Directory, Offer
from gateway.errors import CallError, HangupCause


def routes(offer: Offer, directory: Directory) -> list[Route]:
    """The routes to try: those of the lowest priority number together, the next number when these failed.

    Raises:
        CallError: The offer goes nowhere, and why.
    """
    if offer.direction is Direction.SIP_TO_TELEGRAM:
        return [_to_telegram(offer, directory)]
    return _to_sip(offer, directory)


def origin(offer: Offer, directory: Directory) -> tuple[int | None, int | None]:
    """The account and the line that an offer came in by, whatever becomes of it: a refusal is somebody's, too."""
    if offer.direction is Direction.TELEGRAM_TO_SIP:
        return int(offer.via), None
    line = directory.line(offer.via)
    return (line.account_id, line.id) if line else (None, None)


def _to_telegram(offer: Offer, directory: Directory) -> Route:
    line = directory.line(offer.via)
    if line is None or not line.enabled:
        raise CallError(HangupCause.NO_LINE, "this line is switched off or not known")
    account = _enabled(directory.account(line.account_id))
    return Route(account, line, dialled_peer(offer.dialled, line), offer.caller)


def _to_sip(offer: Offer, directory: Directory) -> list[Route]:
    account = _enabled(directory.account(int(offer.via)))
    lines = directory.lines_of(account.id)
    if not lines:
        raise CallError(HangupCause.NO_LINE, "the session account has no line that is switched on")
    user = offer.caller.user
    assert user is not None, "an offer from Telegram names its user"
    return [Route(account, line, line.number or account.phone, caller_of(user, line)) for line in lines]


def _enabled(account: Account | None) -> Account:
    if account is None or not account.enabled:
        raise CallError(HangupCause.OFFLINE, "the session account is switched off or not known")
    return account
