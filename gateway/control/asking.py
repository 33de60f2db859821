"""Who asks, and what is his. Every use-case begins here."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.call.model import Account
from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever runs the gateway (R3): everything is his."""


@dataclass(frozen=True, slots=True)
class Administrator:
    """A Telegram user who administers session accounts (R2): those that name him are his, and their lines and calls."""

    id: int


Asker = Operator | Administrator


class NotFoundError(GatewayError):
    """There is no such thing, or it is another's: whoever asks can't tell which."""


def owns(asker: Asker, account: Account) -> bool:
    match asker:
        case Operator():
            return True
        case Administrator(id=administrator):
            return account.administrator_id == administrator
