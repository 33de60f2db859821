"""Lines: create, edit, switch, delete. The store and Asterisk never disagree for longer than an edit takes."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog

from gateway.call.model import Line, LineKind, Transport
from gateway.call.numbers import apply_rules
from gateway.control.asking import Asker
from gateway.control.roster import Roster
from gateway.control.views import Credentials, LineView
from gateway.errors import GatewayError
from gateway.provisioning.check import checked, clash
from gateway.provisioning.grammar import FIELDS, GrammarError, address
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.state import LineHealth, LineState
from gateway.storage.store import Store

log = structlog.get_logger(__name__)

#: Without those that people mistake for each other when they type them into a PBX.
_PASSWORD_ALPHABET: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("Il1O0o")))
#: 139 bits: nobody guesses it, however often he may try.
_PASSWORD_LENGTH: Final = 24

#: An administrator may fill the configuration with no more than this.
LINES_MAX: Final = 50

#: The host and port where this gateway takes SIP over a transport; None: not offered.
Offered = Callable[[Transport], tuple[str, int] | None]

_NOT_RUNNING: Final = LineState(LineHealth.WAITING, "The gateway is not running; the line is applied when it starts.")


class Lines:
    """Use-cases of lines. Each takes who asks, and raises `GatewayError` with a sentence.

    Args:
        provisioner: The lines in the running Asterisk; None when no gateway runs, and only the store is changed.
    """

    def __init__(self, store: Store, roster: Roster, provisioner: Provisioner | None, offered: Offered) -> None:
        self._store = store
        self._roster = roster
        self._provisioner = provisioner
        self._offered = offered
        self._turn = asyncio.Lock()

    async def apply(self) -> None:
        """At the start: all of them. What Asterisk refuses is shown in the line's state."""
        async with self._turn:
            await self._apply()

    def list(self, asker: Asker, account_id: int | None = None) -> list[LineView]:
        """Those of one account, or all that are the asker's."""
        if account_id is not None:
            own = {self._roster.account_for(asker, account_id).account.id}
        else:
            own = {stored.account.id for stored in self._roster.accounts_for(asker)}
        return [self._view(line) for line in self._roster.lines if line.account_id in own]

    def show(self, asker: Asker, line_id: int) -> LineView:
        return self._view(self._roster.line_for(asker, line_id))

    def credentials(self, asker: Asker, line_id: int) -> Credentials:
        line = self._roster.line_for(asker, line_id)
        if line.kind is not LineKind.PBX_REGISTERS:
            raise GatewayError(
                f"The PBX of line {line_id} does not register with us; there is nothing to type into it."
            )
        host, port = self._address(line.transport)
        return Credentials(line.login, line.password, host, port, line.transport)

    def address(self, asker: Asker, line_id: int) -> tuple[str, int]:
        """Where this gateway takes the line's calls: what a PBX is told that does not register with us."""
        return self._address(self._roster.line_for(asker, line_id).transport)

    def check(self, kind: LineKind, fields: Mapping[str, str]) -> None:
        """Whether these texts will do, of a line that is yet to be made. Raises `GrammarError`."""
        _values(kind, fields)

    def dry_run(self, asker: Asker, line_id: int, text: str) -> str | None:
        """The number that the line's rules make of a text; its default number where they leave none (L5).

        None: the line does not suit. Raises `CallError` for a rule that runs away.
        """
        line = self._roster.line_for(asker, line_id)
        account = self._roster.account_for(asker, line.account_id).account
        number = apply_rules(line.number_rules, text)
        return number if number is None else number or line.number or account.phone

    async def add(self, asker: Asker, account_id: int, kind: LineKind, fields: Mapping[str, str]) -> LineView:
        """Create a line from texts by field name, as a person gave them (`provisioning.FIELDS`).

        A line whose PBX registers with us gets its login and a strong password by itself.
        """
        account = self._roster.account_for(asker, account_id).account
        values = _values(kind, fields)
        if kind is LineKind.PBX_REGISTERS:
            values.setdefault("password", _password())
        line = self._possible(Line(**{"id": 0, "account_id": account.id, "name": kind.value, "kind": kind} | values))
        async with self._turn:
            if len([one for one in self._roster.lines if one.account_id == account.id]) >= LINES_MAX:
                raise GatewayError(f"A session account has at most {LINES_MAX} lines.")
            self._distinct(line)
            line = checked(await self._store.lines.add(line))
            self._roster.put_line(line)
            if (reason := await self._apply(line.id)) is not None:
                await self._store.lines.delete(line.id)
                self._roster.drop_line(line)
                await self._apply()
                raise GatewayError(reason)
            log.info("line created", line=line.id, account=account.id, kind=kind.value)
            return self._view(line)

    async def edit(self, asker: Asker, line_id: int, fields: Mapping[str, str]) -> LineView:
        """Change fields, given as texts. All of them are taken, or none."""
        async with self._turn:
            before = self._roster.line_for(asker, line_id)
            return await self._replace(before, dataclasses.replace(before, **_values(before.kind, fields)))

    async def reset_password(self, asker: Asker, line_id: int) -> Credentials:
        """Draw a new password for a PBX that registers with us; the old one counts no more."""
        self.credentials(asker, line_id)
        async with self._turn:
            before = self._roster.line_for(asker, line_id)
            await self._replace(before, dataclasses.replace(before, password=_password()))
        return self.credentials(asker, line_id)

    async def delete(self, asker: Asker, line_id: int) -> None:
        """Delete it; calls that run on it go on to their end."""
        async with self._turn:
            line = self._roster.line_for(asker, line_id)
            await self._delete([line])

    async def delete_of(self, account_id: int) -> None:
        """Delete all lines of an account that is being removed."""
        async with self._turn:
            await self._delete([line for line in self._roster.lines if line.account_id == account_id])

    def count_of(self, account_id: int) -> int:
        return sum(line.account_id == account_id for line in self._roster.lines)

    async def _delete(self, lines: Iterable[Line]) -> None:
        for line in lines:
            await self._store.lines.delete(line.id)
            self._roster.drop_line(line)
            log.info("line deleted", line=line.id, account=line.account_id)
        await self._apply()

    async def _replace(self, before: Line, after: Line) -> LineView:
        """Store and apply; what Asterisk refuses is undone in both.

        Stored first: should the gateway die in between, the next start applies what is stored, whole.
        """
        after = self._possible(after)
        self._distinct(after)
        await self._store.lines.save(after)
        self._roster.put_line(after)
        if (reason := await self._apply(after.id)) is not None:
            await self._store.lines.save(before)
            self._roster.put_line(before)
            await self._apply()
            raise GatewayError(reason)
        log.info("line changed by its administrator", line=after.id)
        return self._view(after)

    async def _apply(self, line_id: int | None = None) -> str | None:
        """Apply all lines; why this one was refused, if it was."""
        if self._provisioner is None:
            return None
        refused = await self._provisioner.apply(self._roster.lines)
        return refused.get(line_id) if line_id is not None else None

    def _possible(self, line: Line) -> Line:
        """The line in its one true form. Raises `GatewayError` for what can't be."""
        line = checked(line)
        self._address(line.transport)
        return line

    def _distinct(self, line: Line) -> None:
        """Raises `GatewayError` when another line's calls could not be told from this one's."""
        if line.enabled and clash(line, (other for other in self._roster.lines if other.enabled)) is not None:
            raise GatewayError(
                "Another line takes calls from the same address. Give each of them a header of its own, such as"
                " “X-Line:office”, that the PBX sends."
            )

    def _address(self, transport: Transport) -> tuple[str, int]:
        offered = self._offered(transport)
        if offered is None:
            raise GatewayError(f"This gateway does not offer SIP over {transport.value.upper()}.")
        return offered

    def _view(self, line: Line) -> LineView:
        state = _NOT_RUNNING
        if self._provisioner is not None:
            state = self._provisioner.states.get(line.id, _NOT_RUNNING)
        return LineView(dataclasses.replace(line, password=""), state)


def _values(kind: LineKind, fields: Mapping[str, str]) -> dict[str, Any]:
    """What the texts mean. Raises `GrammarError`. "host" may have the port after a colon."""
    values: dict[str, Any] = {}
    for name, text in fields.items():
        if name not in FIELDS or (name == "login" and kind is LineKind.PBX_REGISTERS):
            raise GrammarError(f"A line of the kind {kind.value} has no field “{name}” that can be set.")
        try:
            if name == "host" and "port" not in fields:
                values["host"], values["port"] = address(text)
            elif name == "port" and not text.strip():
                values["port"] = None
            else:
                values[name] = FIELDS[name](text)
        except GrammarError as error:
            raise GrammarError(f"{name}: {error}") from error
    return values


def _password() -> str:
    return "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(_PASSWORD_LENGTH))
