"""Who asks: the operator, or an administrator who has accounts of his own (R2, R3)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.call.model import Account
from gateway.errors import GatewayError


class NotYoursError(GatewayError):
    """What was asked for is not there, or is another's: who asks can't tell which."""


@dataclass(frozen=True, slots=True)
class Asker:
    """`administrator_id` is a Telegram user's; None is the operator, whose everything is."""

    administrator_id: int | None = None

    def may(self, account: Account) -> bool:
        """Whether an account, and what belongs to it, is his."""
        return self.administrator_id is None or account.administrator_id == self.administrator_id


OPERATOR = Asker()
