"""Notifications (C8): what an administrator is told without asking.

A *trouble* begins, is told once, and when it ended "all is well again" is told once; one that is over before it was
told was none. An *event* is told once. Both are kept over restarts until they are told. Of one kind, account and
subject there is one trouble at a time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog

from gateway.control.roster import Roster
from gateway.errors import GatewayError
from gateway.storage.model import KeptNotice
from gateway.storage.store import Store

log = structlog.get_logger(__name__)

#: Between attempts to tell something: doubles from the first to the last.
RETRY_MIN_S: Final = 5.0
RETRY_MAX_S: Final = 600.0
#: An event that could not be told for so long interests nobody any more.
EVENT_KEPT: Final = dt.timedelta(days=7)
#: The clock may be set; so nothing is slept for longer than this.
NAP_S: Final = 60.0
DELIVERY_S: Final = 30.0


class Severity(enum.StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class NoticeKind(enum.StrEnum):
    """What it is about; with its facts, all texts.

    Troubles, whose subject is a line's id, a setting's name, or nothing:
    """

    SESSION_LOST = "session_lost"  # state ("logged_out", "banned"), detail
    FLOOD = "flood"  # method, until (ISO)
    LINE_DOWN = "line_down"  # line, name, health ("down", "refused"), detail: the code and text of the PBX
    NO_LINE = "no_line"  # caller: a Telegram user called, and there was no line for him
    SETTING_PENDING = "setting_pending"  # setting, until (ISO), detail; over: it is applied now

    # Events:
    SETTING_REFUSED = "setting_refused"  # setting, detail: we don't try any more
    HANDOVER_OFFERED = "handover_offered"  # from: its administrator's id, or empty; name, phone
    HANDOVER_ACCEPTED = "handover_accepted"  # to, name
    HANDOVER_DECLINED = "handover_declined"  # to, name

    @property
    def is_event(self) -> bool:
        return self in _EVENTS

    @property
    def severity(self) -> Severity:
        return _SEVERITIES.get(self, Severity.INFO)


_EVENTS: Final = frozenset(
    {
        NoticeKind.SETTING_REFUSED,
        NoticeKind.HANDOVER_OFFERED,
        NoticeKind.HANDOVER_ACCEPTED,
        NoticeKind.HANDOVER_DECLINED,
    }
)
_SEVERITIES: Final[Mapping[NoticeKind, Severity]] = {
    NoticeKind.SESSION_LOST: Severity.ERROR,
    NoticeKind.FLOOD: Severity.WARNING,
    NoticeKind.LINE_DOWN: Severity.ERROR,
    NoticeKind.NO_LINE: Severity.WARNING,
    NoticeKind.SETTING_REFUSED: Severity.WARNING,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told to one administrator.

    Attributes:
        over: A trouble that was told to him has ended: all is well again.
        line_id: The line that it is about, if it is about one.
        facts: Texts by the names that `NoticeKind` says.
        since: When it began, or happened.
    """

    id: str
    kind: NoticeKind
    over: bool
    administrator_id: int
    account_id: int
    line_id: int | None
    facts: Mapping[str, str]
    since: dt.datetime

    @property
    def severity(self) -> Severity:
        return Severity.INFO if self.over else self.kind.severity


class UndeliverableError(GatewayError):
    """He can't be told, now or later: he stopped the bot, or never began to talk to it."""


class Delivery(Protocol):
    """Who tells: a face."""

    async def deliver(self, notice: Notice) -> None:
        """Tell it.

        Raises:
            UndeliverableError: Never; the notice counts as told.
            GatewayError, OSError, TimeoutError: Not now; it is tried again.
        """


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Notices:
    """Opened with `async with`, after the roster is loaded. What is said here never waits and never fails."""

    def __init__(self, store: Store, roster: Roster, now: Callable[[], dt.datetime] = _now) -> None:
        self._store = store
        self._roster = roster
        self._now = now
        self._kept: dict[str, KeptNotice] = {}
        self._unsaved: set[str] = set()
        self._retry_s: dict[str, float] = {}
        self._delivery: Delivery | None = None
        self._news = asyncio.Event()
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._kept = {notice.id: notice for notice in await self._store.notices.all()}
        async with AsyncExitStack() as opening:
            group = await opening.enter_async_context(asyncio.TaskGroup())
            life = group.create_task(self._live(), name="notices")
            opening.callback(life.cancel)
            self._closing = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()
        try:
            await self._save()  # what its life was about to, too
        except GatewayError as failed:
            log.error("notices were not saved", error=str(failed))

    def deliver_by(self, delivery: Delivery | None) -> None:
        """From now on this tells. Until then everything is kept."""
        self._delivery = delivery
        self._news.set()

    # What happens

    def begin(
        self,
        kind: NoticeKind,
        account_id: int,
        facts: Mapping[str, str],
        subject: str = "",
        *,
        after_s: float = 0.0,
        known_to: int | None = None,
    ) -> None:
        """A trouble is there. Said again while it lasts, only its facts are renewed.

        Args:
            after_s: It is told if it lasts for so long.
            known_to: An administrator who knows of it already, and is told only when it is over.
        """
        known = self._find(kind, account_id, subject)
        if known is None:
            tell_at = self._now() + dt.timedelta(seconds=after_s)
            self._keep(self._new(kind, account_id, facts, subject)._replace(tell_at=tell_at, told_to=known_to))
        elif known.over or dict(known.facts) != dict(facts):
            self._keep(known._replace(over=False, facts=dict(facts)))

    def end(self, kind: NoticeKind, account_id: int, subject: str = "", *, after_s: float = 0.0) -> None:
        """A trouble is over, if there was one; whoever was told of it is told, if it stays over for so long."""
        known = self._find(kind, account_id, subject)
        if known is None or known.over:
            return
        if known.told_to is None:
            self._drop(known)
        else:
            self._keep(known._replace(over=True, tell_at=self._now() + dt.timedelta(seconds=after_s)))

    def forget(self, kind: NoticeKind, account_id: int, subject: str = "") -> None:
        """A trouble does not matter any more: nothing is told of it."""
        if (known := self._find(kind, account_id, subject)) is not None:
            self._drop(known)

    def tell(
        self,
        kind: NoticeKind,
        account_id: int,
        facts: Mapping[str, str],
        subject: str = "",
        *,
        to: int | None = None,
    ) -> None:
        """An event happened. `to`: an administrator; None is whoever administers the account when it is told."""
        self._keep(self._new(kind, account_id, facts, subject)._replace(addressee=to))

    def troubles(self, account_id: int) -> list[Notice]:
        """Those that an account has now, told or not, the oldest first."""
        account = self._roster.account(account_id)
        owner = (account.administrator_id if account else None) or 0
        lasting = [one for one in self._kept.values() if one.account_id == account_id and not one.over]
        return [_notice(one, owner) for one in lasting if not NoticeKind(one.kind).is_event]

    # Inside

    def _new(self, kind: NoticeKind, account_id: int, facts: Mapping[str, str], subject: str) -> KeptNotice:
        now = self._now()
        return KeptNotice(
            secrets.token_hex(8), kind.value, account_id, subject, dict(facts), now, now, None, None, over=False
        )

    def _find(self, kind: NoticeKind, account_id: int, subject: str) -> KeptNotice | None:
        wanted = (kind.value, account_id, subject)
        found = (one for one in self._kept.values() if (one.kind, one.account_id, one.subject) == wanted)
        return next(found, None)

    def _keep(self, notice: KeptNotice) -> None:
        self._kept[notice.id] = notice
        self._changed(notice.id)

    def _drop(self, notice: KeptNotice) -> None:
        self._kept.pop(notice.id, None)
        self._retry_s.pop(notice.id, None)
        self._changed(notice.id)

    def _changed(self, notice_id: str) -> None:
        self._unsaved.add(notice_id)
        self._news.set()

    async def _live(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._save()
                for notice in list(self._kept.values()):
                    await self._see_to(notice)
                await self._save()
            except GatewayError as failed:
                log.error("notices were not saved", error=str(failed))
                await asyncio.sleep(RETRY_MIN_S)
                continue
            except Exception:
                log.exception("notices failed by a fault of ours")
                await asyncio.sleep(RETRY_MIN_S)
                continue
            waits = [(one.tell_at - self._now()).total_seconds() for one in self._kept.values()]
            nap_s = min((wait for wait in waits if wait > 0), default=NAP_S)
            try:
                async with asyncio.timeout(min(nap_s, NAP_S)):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _save(self) -> None:
        """Raises `StorageError`; what was not saved stays unsaved."""
        ids, self._unsaved = self._unsaved, set()
        if not ids:
            return
        # An account that is gone took its notices along.
        saved = [self._kept[one] for one in ids if one in self._kept and self._matters(self._kept[one])]
        try:
            await self._store.notices.change(saved, ids - {one.id for one in saved})
        except BaseException:
            self._unsaved |= ids
            raise

    def _matters(self, notice: KeptNotice) -> bool:
        """Whether what it is about is still there."""
        stored = self._roster.stored(notice.account_id)
        match NoticeKind(notice.kind):
            case NoticeKind.LINE_DOWN:
                return self._roster.line(f"line{notice.subject}") is not None
            case NoticeKind.SESSION_LOST | NoticeKind.FLOOD:
                return stored is not None and stored.logged_in
            case _:
                return stored is not None

    async def _see_to(self, notice: KeptNotice) -> None:
        """Tell it, if it is time to."""
        kind = NoticeKind(notice.kind)
        account = self._roster.account(notice.account_id)
        if not self._matters(notice) or (kind.is_event and notice.since + EVENT_KEPT < self._now()):
            self._drop(notice)
            return
        to = notice.addressee or (account.administrator_id if account else None)
        if notice.over and notice.told_to != to:
            self._drop(notice)  # whoever was told of the trouble has nothing to do with it any more
        elif to is not None and (notice.over or notice.told_to != to) and notice.tell_at <= self._now():
            await self._deliver(notice, to)

    async def _deliver(self, notice: KeptNotice, to: int) -> None:
        if self._delivery is None:
            return
        try:
            async with asyncio.timeout(DELIVERY_S):
                await self._delivery.deliver(_notice(notice, to))
        except UndeliverableError as failed:
            log.warning("notice can't be delivered", kind=notice.kind, administrator=to, error=str(failed))
        except (GatewayError, OSError, TimeoutError) as failed:
            wait_s = self._retry_s[notice.id] = min(self._retry_s.get(notice.id, RETRY_MIN_S / 2) * 2, RETRY_MAX_S)
            log.warning("notice was not delivered", kind=notice.kind, administrator=to, error=str(failed))
            self._put_off(notice.id, wait_s)
            return
        else:
            log.info("notice delivered", kind=notice.kind, administrator=to, over=notice.over)
        self._told(notice, to)

    def _put_off(self, notice_id: str, wait_s: float) -> None:
        if (notice := self._kept.get(notice_id)) is not None:
            self._keep(notice._replace(tell_at=self._now() + dt.timedelta(seconds=wait_s)))

    def _told(self, notice: KeptNotice, to: int) -> None:
        """It was told as it was then; meanwhile it may have ended, or begun again."""
        current = self._kept.get(notice.id)
        self._retry_s.pop(notice.id, None)
        if current is None:
            return
        if NoticeKind(notice.kind).is_event or (notice.over and current.over):
            self._drop(current)
        elif notice.over:
            self._keep(current._replace(told_to=None))
        else:
            self._keep(current._replace(told_to=to))


def _notice(kept: KeptNotice, administrator_id: int) -> Notice:
    kind = NoticeKind(kept.kind)
    line_id = int(kept.subject) if kind is NoticeKind.LINE_DOWN else None
    facts = dict(kept.facts)
    return Notice(kept.id, kind, kept.over, administrator_id, kept.account_id, line_id, facts, kept.since)
