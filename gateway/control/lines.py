"""Lines: made, changed, deleted; valid, stored, and in Asterisk, or none of these."""

from __future__ import annotations

import dataclasses
import secrets
import string
from typing import Any, Final

from gateway.call.model import Line, LineKind
from gateway.control.asker import Asker
from gateway.control.directory import HouseDirectory
from gateway.errors import GatewayError
from gateway.provisioning import LineHealth, LineState, Provisioner, checked, clash
from gateway.storage import Store

#: 24 of these are 142 bits; and every phone's keypad, form and URI takes them as they are.
PASSWORD_ALPHABET: Final = string.ascii_letters + string.digits
PASSWORD_LENGTH: Final = 24

#: What a line is never changed in: who it belongs to, and what it is.
FIXED: Final = frozenset({"id", "account_id", "kind"})


@dataclasses.dataclass(frozen=True, slots=True)
class LineView:
    """A line as it is shown, with its credentials."""

    line: Line
    state: LineState


class LineRefusedError(GatewayError):
    """Asterisk does not take the line; nothing was changed."""


class Lines:
    """With no provisioner the gateway is not running: lines are stored, and applied at its start."""

    def __init__(self, store: Store, directory: HouseDirectory, provisioner: Provisioner | None) -> None:
        self._store = store
        self._directory = directory
        self._provisioner = provisioner

    async def list(self, asker: Asker, account_id: int | None = None) -> list[LineView]:
        """His lines, or one account's, in the order in which they are tried."""
        if account_id is not None:
            self._directory.account_for(asker, account_id)
        mine = [
            line
            for line in self._directory.lines.values()
            if account_id in (None, line.account_id) and asker.may(self._directory.accounts[line.account_id])
        ]
        return [self._view(line) for line in sorted(mine, key=lambda one: (one.account_id, one.priority, one.id))]

    async def get(self, asker: Asker, line_id: int) -> LineView:
        """Raises `NotYoursError`."""
        return self._view(self._directory.line_for(asker, line_id))

    def _view(self, line: Line) -> LineView:
        if self._provisioner is None:
            return LineView(line, LineState(LineHealth.WAITING, "The gateway is not running."))
        return LineView(line, self._provisioner.states.get(line.id, LineState(LineHealth.WAITING)))

    async def create(self, asker: Asker, account_id: int, name: str, kind: LineKind, **fields: Any) -> Line:
        """Make a line; a PBX that registers gets a password of ours.

        Raises:
            GrammarError: A value is not of its form; the text begins with the field's name.
            GatewayError: It can't be told from another line, or Asterisk refuses it.
        """
        account = self._directory.account_for(asker, account_id)
        if kind is LineKind.PBX_REGISTERS:
            fields.setdefault("password", new_password())
        draft = _with(Line(0, account.id, name, kind), fields)
        self._refuse_clash(checked(draft))
        kept = await self._store.lines.add(draft)
        try:
            line = checked(kept)
            await self._put(line)
            await self._apply(line)
        except BaseException:
            self._directory.lines.pop(kept.id, None)
            await self._store.lines.delete(kept.id)
            raise
        return line

    async def change(self, asker: Asker, line_id: int, **fields: Any) -> Line:
        """Change fields of a line; calls on it go on. Raises as `create`."""
        before = self._directory.line_for(asker, line_id)
        line = checked(_with(before, fields))
        self._refuse_clash(line)
        await self._put(line)
        try:
            await self._apply(line)
        except LineRefusedError:
            await self._put(before)
            await self._apply_all()
            raise
        return line

    async def reset_password(self, asker: Asker, line_id: int) -> Line:
        """Give a PBX that registers a new password; it must register with that from now on."""
        if self._directory.line_for(asker, line_id).kind is not LineKind.PBX_REGISTERS:
            raise GatewayError("This line's password is the PBX's own; change it there, then here.")
        return await self.change(asker, line_id, password=new_password())

    async def delete(self, asker: Asker, line_id: int) -> None:
        line = self._directory.line_for(asker, line_id)
        await self._store.lines.delete(line.id)
        del self._directory.lines[line.id]
        await self._apply_all()

    def _refuse_clash(self, line: Line) -> None:
        if other := clash(line, self._directory.lines.values()):
            raise GatewayError(
                f"Calls from this PBX could not be told from those of line {other.id} ({other.name}): give them"
                " different addresses, or each a header of its own."
            )

    async def _put(self, line: Line) -> None:
        await self._store.lines.save(line)
        self._directory.lines[line.id] = line

    async def _apply(self, line: Line) -> None:
        refused = await self._apply_all()
        if line.id in refused:
            raise LineRefusedError(f"Asterisk refuses the line: {refused[line.id]}")

    async def _apply_all(self) -> dict[int, str]:
        if self._provisioner is None:
            return {}
        return dict(await self._provisioner.apply(self._directory.lines.values()))


def new_password() -> str:
    return "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_LENGTH))


def _with(line: Line, fields: dict[str, Any]) -> Line:
    known = {field.name for field in dataclasses.fields(Line)} - FIXED
    if unknown := sorted(fields.keys() - known):
        raise GatewayError(f"A line has no {', '.join(unknown)} to set; there are: {', '.join(sorted(known))}.")
    return dataclasses.replace(line, **fields)
