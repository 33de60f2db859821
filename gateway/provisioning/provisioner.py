"""Keeps Asterisk as the lines say: writes, reloads, reads back what runs, undoes what it refuses; and knows how each
line is doing.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import structlog

from gateway.call.model import Line, LineKind
from gateway.errors import GatewayError
from gateway.provisioning import config
from gateway.provisioning.ami import Ami, AmiDoor, AmiError, AsteriskAwayError, Fields, connected
from gateway.provisioning.readback import Reported, difference
from gateway.provisioning.recipes import Recipe
from gateway.provisioning.render import Section, render
from gateway.provisioning.routes import Routes
from gateway.provisioning.state import (
    ASTERISK_AWAY,
    OFF,
    Contact,
    LineHealth,
    LineState,
    registration_complaint,
    state_of,
)
from gateway.provisioning.strangers import Strangers, source_of, wrong_address

log = structlog.get_logger(__name__)

#: Between attempts to reach Asterisk: it is back within a second when it was restarted.
RECONNECT_S: Final = 0.5
#: Between attempts to apply a line that Asterisk refused: a name that could not be found may be found again.
RETRY_REFUSED_S: Final = 60.0
#: A reload is done when it is answered, nearly always; objects may follow a moment later.
READBACK_S: Final = 1.0
READBACK_POLL_S: Final = 0.05
#: As much of the log's end as may hold what was said of a registration just now.
LOG_TAIL_BYTES: Final = 65536
#: A PBX that is there takes our leave within milliseconds; one that is not is left all the same.
LEAVE_S: Final = 0.5
#: The log is written a moment after the event is sent.
EXPLAIN_S: Final = 0.1

Watch = Callable[[int, LineState], None]


class Provisioner:
    """The lines in Asterisk. Opened with `async with`; comes back by itself when Asterisk does.

    Args:
        door: Where AMI is now; asked at each connection, because a restarted Asterisk may be elsewhere.
        log_file: Asterisk's log, where it can be read: the only place that tells why a PBX refused our registration.
    """

    def __init__(self, door: Callable[[], AmiDoor], log_file: Path | None = None) -> None:
        self._door = door
        self._log_file = log_file
        self._lines: dict[int, Line] = {}
        self._written: config.Sections = {}
        self._rendered: dict[int, tuple[Line, tuple[Section, ...]]] = {}
        self._refused: dict[int, str] = {}
        self._contacts: dict[int, dict[str, Contact]] = {}
        self._registrations: dict[int, str] = {}
        self._complaints: dict[int, str] = {}
        self._warnings: dict[int, str] = {}
        self._strangers = Strangers(lambda: [*self._lines.values()], self._warn)
        self._leaving: dict[int, asyncio.Event] = {}
        self._states: dict[int, LineState] = {}
        self._watchers: list[Watch] = []
        self._ami: Ami | None = None
        self._turn = asyncio.Lock()
        self._told_lines = asyncio.Event()
        self._settled = asyncio.Event()
        self._failing: dict[int, str] = {}
        self._failed = asyncio.Event()
        self._recipes: dict[int, Recipe] = {}
        self._routes = Routes()
        self._refused_recipes: dict[int, str] = {}
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            group = await opening.enter_async_context(asyncio.TaskGroup())
            life = group.create_task(self._live(), name="provisioner")
            opening.callback(life.cancel)
            opening.callback(self._strangers.close)
            self._closing = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    # What others ask

    @property
    def states(self) -> Mapping[int, LineState]:
        """How each line is doing, by its id."""
        return MappingProxyType(self._states)

    @property
    def refused_recipes(self) -> Mapping[int, str]:
        """The lines whose recipe Asterisk refused when it was last asked, with the reason in a sentence."""
        return MappingProxyType(self._refused_recipes)

    def watch(self, watcher: Watch) -> None:
        """Be told of each line's changes of state; must not wait."""
        self._watchers.append(watcher)

    async def apply(self, lines: Iterable[Line]) -> Mapping[int, str]:
        """Make Asterisk's lines exactly these, by the least changes; calls that run go on.

        Returns:
            The lines that Asterisk refuses, with the reason in a sentence. Of those it keeps what it had before, and
            is asked again from time to time. Empty as well while Asterisk is away: all is applied when it is back.
        """
        async with self._turn:
            self._lines = {line.id: line for line in lines}
            self._told_lines.set()
            if self._ami is not None:
                try:
                    await self._reconcile(self._ami)
                    await self._forget_recipes(self._ami)
                except AsteriskAwayError as error:
                    log.warning("lines wait for asterisk", reason=str(error))
            for line_id in self._states.keys() - self._lines.keys():
                self._forget(line_id)
            self._tell_all()
            return dict(self._refused)

    async def route(self, recipes: Mapping[int, Recipe]) -> Mapping[int, str]:
        """Make the dialplan route lines by exactly these recipes; calls that run go on.

        Returns:
            `refused_recipes`: those lines keep what they had before. While Asterisk is away nothing is refused, and
            all is applied when it is back.
        """
        async with self._turn:
            self._recipes, self._refused_recipes = dict(recipes), {}
            if self._ami is None:
                return self.refused_recipes
            try:
                await self._reconcile_routes(self._ami)
            except AsteriskAwayError as error:
                log.warning("recipes wait for asterisk", reason=str(error))
            return self.refused_recipes

    async def _forget_recipes(self, ami: Ami) -> None:
        """Of lines that are gone. Raises `AsteriskAwayError`."""
        kept = {line_id: recipe for line_id, recipe in self._recipes.items() if line_id in self._lines}
        if len(kept) < len(self._recipes):
            self._recipes = kept
            await self._reconcile_routes(ami)

    async def _reconcile_routes(self, ami: Ami) -> None:
        """Raises `AsteriskAwayError`."""
        self._refused_recipes = await self._routes.reconcile(ami, self._recipes)

    async def settled(self, within_s: float) -> None:
        """Wait until the lines are in Asterisk, at most so long: where it can't be reached they follow later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._settled.wait()

    # Life

    async def _live(self) -> None:
        told = ""
        while True:
            try:
                async with connected(self._door(), self._hear) as ami:
                    told = ""
                    await self._serve(ami)
            except GatewayError as error:
                if told != (told := str(error)):
                    log.warning("asterisk's configuration went out of reach", reason=told)
            except Exception:
                log.exception("provisioner failed by a fault of ours")
            finally:
                self._ami = None
            self._contacts.clear()
            self._registrations.clear()
            self._tell_all()
            await asyncio.sleep(RECONNECT_S)

    async def _serve(self, ami: Ami) -> None:
        """Apply all lines, then follow what happens to them until the connection is lost. Raises `GatewayError`."""
        await (
            self._told_lines.wait()
        )  # else the lines that an Asterisk still runs would be taken from it, and given back
        async with self._turn:
            self._written = await config.read(ami)
            await self._reconcile(ami)
            await self._routes.load(ami)
            await self._reconcile_routes(ami)
            await self._learn_contacts(ami)
            await self._learn_registrations(ami)
            await self._knock(ami, self._written)
            self._ami = ami
            self._tell_all()
        log.info("lines applied", lines=len(self._lines), refused=len(self._refused))
        self._settled.set()
        async with asyncio.TaskGroup() as group:
            chores = [group.create_task(self._explain_failures()), group.create_task(self._retry_refused(ami))]
            await ami.lost()
            for chore in chores:
                chore.cancel()
        raise AsteriskAwayError("Asterisk's management interface (AMI) is lost.")

    async def _explain_failures(self) -> None:
        """Say in words why registrations failed, as soon as Asterisk's log tells; many fail together."""
        while True:
            await self._failed.wait()
            await asyncio.sleep(EXPLAIN_S)
            self._failed.clear()
            tail = await asyncio.to_thread(self._log_tail)
            failing, self._failing = self._failing, {}
            for line_id in failing.keys() & self._lines.keys():
                for section in self._written.get(line_id, ()):
                    if section.type == "registration":
                        self._registrations[line_id] = failing[line_id]
                        self._complaints[line_id] = registration_complaint(tail, section)
                self._tell(line_id)

    async def _retry_refused(self, ami: Ami) -> None:
        try:
            while True:
                await asyncio.sleep(RETRY_REFUSED_S)
                if self._refused:
                    async with self._turn:
                        await self._reconcile(ami)
                    self._tell_all()
        except AsteriskAwayError:
            return  # `_serve` learns of it too

    # Applying

    async def _reconcile(self, ami: Ami) -> None:
        """Make the files as the lines say, and Asterisk run them. Raises `AsteriskAwayError`."""
        self._refused.clear()
        wanted: config.Sections = {}
        for line in self._lines.values():
            try:
                wanted[line.id] = self._render(line)
            except GatewayError as error:
                self._refused[line.id] = str(error)
        before = {line_id: self._written.get(line_id, ()) for line_id in wanted.keys() | self._written.keys()}
        changed = {
            line_id: wanted.get(line_id, ())
            for line_id, sections in before.items()
            if line_id not in self._refused and wanted.get(line_id, ()) != sections
        }
        if not changed:
            return
        try:
            await self._take_leave(ami, before, changed)
            await self._write(ami, changed)
            refused = await self._read_back(ami, before, changed)
            if refused:
                await self._write(ami, {line_id: before[line_id] for line_id in refused})
            self._refused |= refused
            await self._knock(ami, changed, before)
        except AsteriskAwayError:
            raise
        except GatewayError as error:
            self._refused |= dict.fromkeys(changed, str(error))
            self._written = await config.read(ami)
        for line_id in self._refused:
            log.warning("line refused", line=line_id, reason=self._refused[line_id])

    def _render(self, line: Line) -> tuple[Section, ...]:
        """As `render`, and what did not change is not rendered again: an edit of one line brings all of them."""
        known, sections = self._rendered.get(line.id, (None, ()))
        if known != line:
            sections = render(line)
            self._rendered[line.id] = (line, sections)
        return sections

    async def _write(self, ami: Ami, changed: config.Sections) -> None:
        await config.write(ami, self._written, changed)
        self._written |= changed
        for line_id in changed:
            self._warnings.pop(line_id, None)
        await ami.act("Reload", Module="res_pjsip.so")

    async def _read_back(self, ami: Ami, before: config.Sections, changed: config.Sections) -> dict[int, str]:
        """The lines that Asterisk does not run as they were written, with the reason."""
        # Registrations are only listed all together: hundreds of them, for one line.
        listing = any(
            section.type == "registration"
            for line_id, sections in changed.items()
            for section in (*before[line_id], *sections)
        )
        loop = asyncio.get_running_loop()
        until = loop.time() + READBACK_S
        left = dict(changed)
        while True:
            registrations = await _registrations(ami) if listing else {}
            reasons = {}
            for line_id, sections in left.items():
                reported = config.running(await _endpoint(ami, f"line{line_id}")) | registrations
                if (reason := _disagreement(line_id, sections, reported)) is not None:
                    reasons[line_id] = reason
            left = {line_id: left[line_id] for line_id in reasons}
            if not left or loop.time() > until:
                break
            await asyncio.sleep(READBACK_POLL_S)
        if any(left.values()) and not left.keys() & (await config.read(ami)).keys():
            include = f"put “#tryinclude {config.INCLUDED}” into its {config.INCLUDING}"
            return dict.fromkeys(left, f"Asterisk does not read the lines: {include}.")
        return reasons

    async def _take_leave(self, ami: Ami, before: config.Sections, changed: config.Sections) -> None:
        """Unregister where we shall not register any more: of a registration that is gone, Asterisk sends that, too,
        but does not answer the PBX's challenge, and for the PBX we would stay registered until it expires.
        """
        ending = [
            line_id
            for line_id, sections in changed.items()
            if _registration(before[line_id])
            and not _registration(sections)
            and self._registrations.get(line_id) == "Registered"
        ]
        self._leaving = {line_id: asyncio.Event() for line_id in ending}
        try:
            for line_id in ending:
                await _try(ami, "PJSIPUnregister", Registration=f"line{line_id}-reg")
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    for left in self._leaving.values():
                        await left.wait()
        finally:
            self._leaving = {}

    async def _knock(self, ami: Ami, files: config.Sections, before: config.Sections | None = None) -> None:
        """Register, and ask PBXs whether they answer, at once: by itself Asterisk takes up to half a minute.

        A registration that stands, and is as it was `before`, is left alone: to register is to unregister first.
        """
        for line_id, sections in files.items():
            if registration := _registration(sections):
                is_as_before = before is not None and registration == _registration(before[line_id])
                if not is_as_before or self._registrations.get(line_id) != "Registered":
                    await _try(ami, "PJSIPRegister", Registration=f"line{line_id}-reg")
            elif sections:
                await _try(ami, "PJSIPQualify", Endpoint=f"line{line_id}")

    # What Asterisk tells

    def _hear(self, event: Fields) -> None:
        match event.get("event"):
            case "Registry":
                self._hear_registration(event)
            case "ContactStatus":
                self._hear_contact(event)
            case "ChallengeResponseFailed" | "InvalidPassword" | "FailedACL":
                self._hear_refusal(event)
                self._strangers.hear(event)
            case "ChallengeSent" | "SuccessfulAuth":
                self._strangers.hear(event)

    def _hear_contact(self, event: Fields) -> None:
        line_id = _line_id(event.get("endpointname") or event.get("aor", ""))
        if line_id not in self._lines:
            return
        uri, status = event.get("uri", ""), event.get("contactstatus", "")
        contacts = self._contacts.setdefault(line_id, {})
        if status == "Removed":
            contacts.pop(uri, None)
        else:
            contacts[uri] = Contact(uri, status, _rtt_ms(event.get("roundtripusec", "")))
            self._complaints.pop(line_id, None)
        self._tell(line_id)

    def _hear_refusal(self, event: Fields) -> None:
        """Somebody used a line's login, or its header, in vain: its PBX, very likely."""
        line = self._lines.get(_line_id(event.get("accountid", "")))
        source = source_of(event)
        if line is None:
            return
        if line.kind is LineKind.PBX_REGISTERS:
            is_elsewhere = event["event"] == "FailedACL"
            reason = "it is not one of the trusted addresses" if is_elsewhere else "the password is wrong"
            self._complaints[line.id] = f"An attempt to register from {source} was refused: {reason}."
            self._tell(line.id)
        elif line.kind is LineKind.TRUNK and event["event"] == "FailedACL":
            self._warn(line, wrong_address(source))

    def _warn(self, line: Line, why: str) -> None:
        if line.id in self._lines:
            self._warnings[line.id] = why
            self._tell(line.id)

    async def _learn_contacts(self, ami: Ami) -> None:
        """What Asterisk knew before we came; no event tells it. Only an endpoint's own listing has fixed contacts."""
        for line in self._lines.values():
            if not line.enabled or line.kind is LineKind.WE_REGISTER:
                continue
            for one in await _endpoint(ami, line.endpoint):
                if one.get("event") == "ContactStatusDetail":
                    contact = Contact(one["uri"], one.get("status", ""), _rtt_ms(one.get("roundtripusec", "")))
                    # An event that came meanwhile is newer.
                    self._contacts.setdefault(line.id, {}).setdefault(contact.uri, contact)

    async def _learn_registrations(self, ami: Ami) -> None:
        for (kind, name), fields in (await _registrations(ami)).items():
            if kind == "registration":
                self._note_registration(_line_id(name.removesuffix("-reg")), fields.get("status", ""))

    def _hear_registration(self, event: Fields) -> None:
        uris = event.get("domain", ""), event.get("username", "")
        for line_id, sections in self._written.items():
            for section in sections:
                if section.type == "registration" and (section.get("server_uri"), section.get("client_uri")) == uris:
                    status = event.get("status", "")
                    if line_id in self._leaving and status != "Registered":
                        self._leaving[line_id].set()
                    if line_id in self._lines:  # else it is being deleted
                        self._note_registration(line_id, status)
                        self._tell(line_id)

    def _note_registration(self, line_id: int, status: str) -> None:
        """A failure is told when it can be explained, a moment later."""
        if line_id not in self._lines:
            return
        if status in ("Rejected", "Stopped"):
            self._failing[line_id] = status
            self._failed.set()
        else:
            self._failing.pop(line_id, None)
            self._complaints.pop(line_id, None)
            self._registrations[line_id] = status

    def _log_tail(self) -> list[str]:
        if self._log_file is None:
            return []
        try:
            with self._log_file.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - LOG_TAIL_BYTES))
                return file.read().decode(errors="replace").splitlines()
        except OSError as error:
            log.warning("asterisk's log can't be read", error=str(error))
            return []

    # State

    def _state(self, line: Line) -> LineState:
        if not line.enabled:
            return OFF
        if line.id in self._refused:
            return LineState(LineHealth.REFUSED, self._refused[line.id])
        if self._ami is None:
            return ASTERISK_AWAY
        contacts = self._contacts.get(line.id, {}).values()
        state = state_of(line, contacts, self._registrations.get(line.id, ""), self._complaints.get(line.id, ""))
        return dataclasses.replace(state, warning=self._warnings.get(line.id, ""))

    def _tell(self, line_id: int) -> None:
        state = self._state(self._lines[line_id])
        if self._states.get(line_id) != state:
            self._states[line_id] = state
            log.info("line changed", line=line_id, health=state.health.value, detail=state.detail)
            for watcher in self._watchers:
                watcher(line_id, state)

    def _tell_all(self) -> None:
        for line_id in self._lines:
            self._tell(line_id)

    def _forget(self, line_id: int) -> None:
        for known in (self._rendered, self._states, self._contacts, self._registrations, self._complaints):
            known.pop(line_id, None)
        self._warnings.pop(line_id, None)


def _disagreement(line_id: int, sections: tuple[Section, ...], reported: Reported) -> str | None:
    if sections:
        return difference(sections, reported)
    gone = ("endpoint", f"line{line_id}") not in reported and ("registration", f"line{line_id}-reg") not in reported
    return None if gone else f"Asterisk does not let go of line{line_id}."


def _registration(sections: Iterable[Section]) -> list[Section]:
    """What our registration with a PBX is made of; empty where it registers with us, or nobody does."""
    mine = [section for section in sections if section.type in ("registration", "auth")]
    return mine if any(section.type == "registration" for section in mine) else []


async def _endpoint(ami: Ami, name: str) -> list[Fields]:
    return await _try(ami, "PJSIPShowEndpoint", Endpoint=name)


async def _registrations(ami: Ami) -> dict[tuple[str, str], Fields]:
    return config.running(await _try(ami, "PJSIPShowRegistrationsOutbound"))


async def _try(ami: Ami, action: str, **fields: str) -> list[Fields]:
    """Like `act`, but an error is an empty answer: that is how Asterisk says that there is nothing."""
    try:
        return await ami.act(action, **fields)
    except AmiError:
        return []


def _line_id(endpoint: str) -> int:
    """The id in an endpoint's name; 0, which no line has, if it is not ours."""
    digits = endpoint.removeprefix("line")
    return int(digits) if endpoint.startswith("line") and digits.isascii() and digits.isdecimal() else 0


def _rtt_ms(usec: str) -> float | None:
    return int(usec) / 1000 if usec.isascii() and usec.isdecimal() and int(usec) > 0 else None
