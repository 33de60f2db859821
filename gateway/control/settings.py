"""What the operator decides about administrators, whatever face they use."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

#: Anybody who finds a face may connect sessions of his own.
ANYONE = "anyone"


class ControlSettings(BaseModel):
    """The `control` slice of the settings.

    Attributes:
        administrators: Who may be one (R3): Telegram user ids, apart by commas, or "anyone". None is nobody: whoever
            writes to the bot is in the log.
        routing_by: Who may choose how a line's calls are routed in the dialplan.
        line_settle_s: A line has to be down, or up again, for so long before its administrator is told: PBXs restart,
            and registrations are renewed, in less.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    administrators: Literal["anyone"] | tuple[int, ...] = ()
    routing_by: Literal["administrators", "operators"] = "administrators"
    line_settle_s: float = Field(default=20.0, ge=0)

    @field_validator("administrators", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        """From the environment comes "anyone", "1,2", or what JSON makes of "[1,2]" or "1"."""
        if isinstance(given, int):
            return (given,)
        if isinstance(given, str) and given != ANYONE:
            return tuple(word.strip() for word in given.split(",") if word.strip())
        return given

    def admits(self, user_id: int) -> bool:
        return self.administrators == ANYONE or user_id in self.administrators
