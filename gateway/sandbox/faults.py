"""Making the local Telegram fail on purpose."""

from __future__ import annotations

import enum
import fnmatch
import itertools

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(enum.StrEnum):
    ERROR = "error"  # the request is refused
    DROP = "drop"  # the connection is cut before the request is executed
    DROP_AFTER = "drop_after"  # the request is executed, its answer is lost with the connection
    HANG = "hang"  # nothing happens
    DELAY = "delay"  # the request is executed, and answered, late


class Fault(BaseModel):
    """A rule of what goes wrong.

    Attributes:
        method: A glob over method names: "phone.*", "messages.sendMessage".
        error: "420 FLOOD_WAIT_30", for `FaultKind.ERROR`.
        delay_s: For `FaultKind.DELAY`.
        user: Only requests of this user; None: everybody's.
        times: How often it still happens; None: until removed.
    """

    model_config = ConfigDict(extra="forbid")

    id: int = Field(default_factory=itertools.count(1).__next__)
    method: str
    kind: FaultKind = FaultKind.ERROR
    error: str = Field("500 INTERNAL", pattern=r"^\d{3} [A-Z0-9_]+$")
    delay_s: float = Field(1.0, ge=0)
    user: int | None = None
    times: int | None = Field(None, ge=1)
    happened: int = 0

    @property
    def code(self) -> int:
        return int(self.error.split()[0])

    @property
    def name(self) -> str:
        return self.error.split()[1]


class Faults:
    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.rules.append(fault)

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one, or all."""
        self.rules = [rule for rule in self.rules if fault_id is not None and rule.id != fault_id]

    def strikes(self, method: str, user: int | None) -> Fault | None:
        """The first rule that applies now; counts it."""
        for rule in self.rules:
            if rule.user in (None, user) and fnmatch.fnmatchcase(method, rule.method):
                rule.happened += 1
                if rule.times is not None and rule.happened >= rule.times:
                    self.rules.remove(rule)
                return rule
        return None
