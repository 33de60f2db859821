"""What the operator decides about administrators, whatever face they use."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ControlSettings(BaseModel):
    """The `control` slice of the settings.

    Attributes:
        routing_by: Who may choose how a line's calls are routed in the dialplan.
        line_settle_s: A line has to be down, or up again, for so long before its administrator is told: PBXs restart,
            and registrations are renewed, in less.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    routing_by: Literal["administrators", "operators"] = "administrators"
    line_settle_s: float = Field(default=20.0, ge=0)
