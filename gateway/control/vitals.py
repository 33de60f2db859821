"""How the house is at this moment: what its health, its metrics and its operator's questions are answered from."""

from __future__ import annotations

import asyncio
import itertools
import resource
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.call.model import CallState, Direction
from gateway.call.switchboard import Switchboard
from gateway.control.accounts import Accounts
from gateway.control.asking import Operator
from gateway.control.lines import Lines
from gateway.control.views import AccountView
from gateway.errors import GatewayError
from gateway.media.pool import MediaPool
from gateway.provisioning.state import LineHealth
from gateway.sip.embedded import Asterisk
from gateway.sip.side import SipSide
from gateway.storage.store import Store
from gateway.telegram.model import AccountState

#: A database that takes longer would hold up every call's record; whoever asks about health waits no longer, either.
DATABASE_S: Final = 3.0

_PAGE_BYTES: Final = resource.getpagesize()
#: Flood-limited accounts still take calls.
_REACHED: Final = frozenset({AccountState.ONLINE, AccountState.FLOOD_LIMITED})


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """What can be counted. What has happened is counted from the gateway's start.

    Every state is there, be it with 0: an alarm must not miss what is absent.

    Attributes:
        accounts: Session accounts that are switched on, by state.
        engine: The media engine that carries calls unless it failed with a user.
        memory_bytes: Resident, of "node", "workers" (all of them) and "asterisk" (if it is ours).
    """

    calls: Mapping[tuple[Direction, CallState], int]
    accounts: Mapping[AccountState, int]
    lines: Mapping[LineHealth, int]
    asterisk_up: bool
    asterisk_restarts: int
    unknown_events: int
    engine: str
    workers: int
    worker_deaths: int
    memory_bytes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether calls can go through.

    Attributes:
        well: Some calls can.
        troubles: What is wrong, in sentences; there may be some even if it is well.
        accounts_online, accounts: Of those that are connected and switched on.
    """

    well: bool
    troubles: tuple[str, ...]
    accounts_online: int
    accounts: int


class Vitals:
    """Asks the parts; whoever may ask this is the operator."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        lines: Lines,
        board: Switchboard,
        pool: MediaPool,
        asterisk: Asterisk,
        sip: SipSide,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._lines = lines
        self._board = board
        self._pool = pool
        self._asterisk = asterisk
        self._sip = sip

    def signs(self) -> VitalSigns:
        calls = Counter((call.record.direction, call.state) for call in self._board.calls.values())
        accounts = Counter(view.status.state for view in self._accounts.list(Operator()) if view.account.enabled)
        lines = Counter(view.state.health for view in self._lines.list(Operator()))
        return VitalSigns(
            calls={move: calls[move] for move in itertools.product(Direction, CallState)},
            accounts={state: accounts[state] for state in AccountState},
            lines={health: lines[health] for health in LineHealth},
            asterisk_up=self._sip.ari.up,
            asterisk_restarts=self._asterisk.restarts,
            unknown_events=self._sip.unknown_events,
            engine=self._pool.engine,
            workers=self._pool.ready,
            worker_deaths=self._pool.deaths,
            memory_bytes=self._memory(),
        )

    async def health(self) -> Health:
        fatal = []
        if not self._sip.ari.up:
            fatal.append("Asterisk is not reached: no PBX can call, or be called.")
        if not self._pool.ready:
            fatal.append("No media worker runs: no call can have audio.")
        try:
            async with asyncio.timeout(DATABASE_S):
                await self._store.ask()
        except GatewayError as error:
            fatal.append(str(error))
        except TimeoutError:
            fatal.append("The database does not answer in time.")
        views = [view for view in self._accounts.list(Operator()) if view.account.enabled and view.logged_in]
        reached = sum(view.status.state in _REACHED for view in views)
        if views and not reached:
            fatal.append("No session account is online: nobody on Telegram can call, or be called.")
        return Health(not fatal, (*fatal, *_of_accounts(views)), reached, len(views))

    def _memory(self) -> dict[str, int]:
        pids: dict[str, Iterable[int | str]] = {"node": ["self"], "workers": self._pool.pids}
        if self._asterisk.pid is not None:
            pids["asterisk"] = [self._asterisk.pid]
        return {name: sum(map(_resident_bytes, found)) for name, found in pids.items()}


def _of_accounts(views: Iterable[AccountView]) -> Iterable[str]:
    for view in views:
        state, detail = view.status.state, view.status.detail
        if state is not AccountState.ONLINE:
            what = state.value.replace("_", " ")
            yield f"Session {view.account.id} is {what}{f' ({detail})' if detail else ''}."


def _resident_bytes(pid: int | str) -> int:
    """Of a process that may be gone by now. Source: proc_pid_statm(5)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
