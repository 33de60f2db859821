"""The recommended settings of a session account (C5): shown as Telegram says they are, applied, and where Telegram
refuses for now, applied by ourselves when the time comes.

When that is, Telegram's clock says: jobs are kept in its time, and looked at while their account is online.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Self

import structlog

from gateway.control.asking import Administrator, Asker
from gateway.control.notices import NoticeKind, Notices
from gateway.control.roster import Roster
from gateway.errors import GatewayError
from gateway.storage.model import Job
from gateway.storage.store import Store
from gateway.telegram import recommended
from gateway.telegram.account import SessionAccount
from gateway.telegram.model import AccountState, AccountStatus
from gateway.telegram.recommended import Applied, Flooded, NotApplied, Outcome, Recommended, TooFresh

log = structlog.get_logger(__name__)

JOB: Final = "recommended"
#: A little later than Telegram said: its clock and ours are told in whole seconds.
LATER: Final = dt.timedelta(seconds=2)
#: After an attempt whose answer was lost.
LOST_RETRY: Final = dt.timedelta(minutes=1)
#: Between looks at what is due; the clock may be set meanwhile.
NAP_S: Final = 20.0

_NOT_ONLINE: Final = "The session account is not connected to Telegram now. Try again when it is online."

#: The running account, to ask Telegram in its name; None when it is not kept online.
Online = Callable[[int], SessionAccount | None]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended setting as it is shown.

    Attributes:
        applied: As Telegram says now.
        pending_until: When it is tried again by ourselves, by our clock; None: it is not.
        detail: Telegram's name for its last refusal.
    """

    setting: Recommended
    applied: bool
    pending_until: dt.datetime | None = None
    detail: str = ""


class Recommendations:
    """Use-cases, each takes who asks, and raises `GatewayError` with a sentence; and the work that is left for later.

    Opened with `async with`, before accounts come online.
    """

    def __init__(self, store: Store, roster: Roster, online: Online, notices: Notices) -> None:
        self._store = store
        self._roster = roster
        self._online = online
        self._notices = notices
        self._jobs: dict[tuple[int, str], Job] = {}
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._jobs = {(job.account_id, job.subject): job for job in await self._store.jobs.all(JOB)}
        async with AsyncExitStack() as opening:
            group = await opening.enter_async_context(asyncio.TaskGroup())
            life = group.create_task(self._live(), name="recommended settings")
            opening.callback(life.cancel)
            self._closing = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    # What is asked

    async def read(self, asker: Asker, account_id: int) -> list[Recommendation]:
        """All four, as Telegram says now."""
        account = self._account(asker, account_id)
        states = await recommended.states(account)
        return [self._shown(account, setting, applied) for setting, applied in states.items()]

    async def apply(self, asker: Asker, account_id: int, setting: Recommended) -> Recommendation:
        """Apply one. Where Telegram refuses for now it is pending; where it refuses for good, `detail` says why."""
        account = self._account(asker, account_id)
        async with self._turn:
            try:
                outcome = await recommended.apply(account, setting)
            except (OSError, TimeoutError) as lost:
                raise GatewayError(_NOT_ONLINE) from lost
            await self._note(account, setting, outcome, asker)
        return self._shown(
            account,
            setting,
            isinstance(outcome, Applied),
            "" if isinstance(outcome, Applied) else outcome.detail,
        )

    async def apply_all(self, asker: Asker, account_id: int) -> list[Recommendation]:
        """Apply those that are not so yet; all four as they are then."""
        shown = []
        for one in await self.read(asker, account_id):
            shown.append(one if one.applied else await self.apply(asker, account_id, one.setting))
        return shown

    async def forget(self, asker: Asker, account_id: int, setting: Recommended) -> None:
        """Don't try it again by ourselves."""
        self._roster.account_for(asker, account_id)
        async with self._turn:
            await self._drop(account_id, setting)
            self._notices.forget(NoticeKind.SETTING_PENDING, account_id, setting.value)

    # What is told

    def status_changed(self, account_id: int, status: AccountStatus) -> None:
        """An account that came online may have something due."""
        if status.state is AccountState.ONLINE:
            self._news.set()

    # Inside

    def _account(self, asker: Asker, account_id: int) -> SessionAccount:
        self._roster.account_for(asker, account_id)
        account = self._online(account_id)
        if account is None or not account.is_online:
            raise GatewayError(_NOT_ONLINE)
        return account

    def _shown(self, account: SessionAccount, setting: Recommended, applied: bool, detail: str = "") -> Recommendation:
        job = self._jobs.get((account.account.id, setting.value))
        if applied or job is None:
            return Recommendation(setting, applied, detail=detail)
        return Recommendation(setting, applied, job.due_at - _ahead(account), job.detail)

    async def _note(self, account: SessionAccount, setting: Recommended, outcome: Outcome, asker: Asker | None) -> None:
        """Keep what is left to do, and tell. `asker`: who learns of it by the answer; None: it was our own attempt."""
        account_id, subject = account.account.id, setting.value
        match outcome:
            case Applied():
                await self._drop(account_id, setting)
                self._notices.end(NoticeKind.SETTING_PENDING, account_id, subject)
            case TooFresh(until=until, detail=detail) | Flooded(until=until, detail=detail):
                due_at = until + _ahead(account) + LATER
                attempts = self._attempts(account_id, subject) + 1
                await self._put(Job(JOB, account_id, subject, due_at, attempts, detail))
                facts = {"setting": subject, "until": until.isoformat(timespec="seconds"), "detail": detail}
                known_to = asker.id if isinstance(asker, Administrator) else None
                self._notices.begin(NoticeKind.SETTING_PENDING, account_id, facts, subject, known_to=known_to)
            case NotApplied(detail=detail):
                await self._drop(account_id, setting)
                self._notices.forget(NoticeKind.SETTING_PENDING, account_id, subject)
                if asker is None:
                    facts = {"setting": subject, "detail": detail}
                    self._notices.tell(NoticeKind.SETTING_REFUSED, account_id, facts, subject)
        log.info("recommended setting tried", account=account_id, setting=subject, outcome=type(outcome).__name__)

    def _attempts(self, account_id: int, subject: str) -> int:
        job = self._jobs.get((account_id, subject))
        return job.attempts if job else 0

    async def _put(self, job: Job) -> None:
        await self._store.jobs.save(job)
        self._jobs[job.account_id, job.subject] = job
        self._news.set()

    async def _drop(self, account_id: int, setting: Recommended) -> None:
        if (job := self._jobs.get((account_id, setting.value))) is not None:
            await self._store.jobs.delete(job)
            del self._jobs[job.account_id, job.subject]

    async def _live(self) -> None:
        while True:
            self._news.clear()
            for job in sorted(self._jobs.values(), key=lambda job: job.due_at):
                try:
                    async with self._turn:
                        await self._attempt(job)
                except GatewayError as failed:
                    log.error("pending setting was not kept", account=job.account_id, error=str(failed))
                except Exception:
                    log.exception("pending setting failed by a fault of ours", account=job.account_id)
            try:
                async with asyncio.timeout(self._nap_s()):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _nap_s(self) -> float:
        """Until the next job of an account that is online is due."""
        waits = [NAP_S]
        for job in self._jobs.values():
            account = self._online(job.account_id)
            if account is not None and account.is_online:
                waits.append(max((job.due_at - account.server_now()).total_seconds(), 0.1))
        return min(waits)

    async def _attempt(self, job: Job) -> None:
        if self._jobs.get((job.account_id, job.subject)) is not job:
            return  # it was done, or put off, meanwhile
        stored = self._roster.stored(job.account_id)
        if stored is None or not stored.logged_in:  # it was for a login that was given back
            await self._drop(job.account_id, Recommended(job.subject))
            self._notices.forget(NoticeKind.SETTING_PENDING, job.account_id, job.subject)
            return
        account = self._online(job.account_id)
        if account is None or not account.is_online or account.server_now() < job.due_at:
            return
        try:
            outcome = await recommended.apply(account, Recommended(job.subject))
        except (OSError, TimeoutError) as lost:
            log.warning("pending setting could not be tried", account=job.account_id, error=str(lost))
            await self._put(job._replace(due_at=account.server_now() + LOST_RETRY))
            return
        await self._note(account, Recommended(job.subject), outcome, None)


def _ahead(account: SessionAccount) -> dt.timedelta:
    """How far Telegram's clock is ahead of ours."""
    return account.server_now() - dt.datetime.now(dt.UTC)
