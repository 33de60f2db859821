"""Where offers become calls: admit, route, carry, count, record."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Self

import structlog

from gateway.call.fork import Fork
from gateway.call.model import CallRecord, CallState, Direction, Route
from gateway.call.ports import Admission, Directory, Leg, Media, MediaPool, Offer, Records, Side
from gateway.call.routing import origin, routes
from gateway.call.session import CallLimits, CallSession, Watch
from gateway.errors import CallError, Ending, GatewayError, HangupCause

log = structlog.get_logger(__name__)

_DRAINING: Final = Ending(HangupCause.SHUTDOWN, "the gateway is being stopped")


class Switchboard:
    """All calls of this node. The sides bring offers; it makes sessions of them, and keeps their records."""

    def __init__(
        self,
        directory: Directory,
        pool: MediaPool,
        records: Records,
        limits: CallLimits,
        call_limit: int | None = None,
    ) -> None:
        """`call_limit` is of the whole node; each account has its own as well."""
        self._directory = directory
        self._pool = pool
        self._records = records
        self._limits = limits
        self._call_limit = call_limit
        self._admission: Admission | None = None
        self._far_sides: dict[Direction, Side] = {}
        self._calls: dict[str, CallSession] = {}
        self._admitted: dict[str, int] = {}
        self._watchers: list[Watch] = []
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draining = True
        for session in self._calls.values():
            session.hang_up(_DRAINING)
        await self._group.__aexit__(kind, error, trace)

    def connect(self, direction: Direction, far: Side) -> None:
        """Say which side calls out in this direction. Until then its offers are refused."""
        self._far_sides[direction] = far

    def admit_by(self, admission: Admission) -> None:
        """Ask this, too, before a call is admitted."""
        self._admission = admission

    def watch(self, watcher: Watch) -> None:
        """Be told of every move of every call, in order, with its record so far."""
        self._watchers.append(watcher)

    @property
    def calls(self) -> Mapping[str, CallSession]:
        """The calls that live now, by id."""
        return MappingProxyType(self._calls)

    def calls_of(self, account_id: int) -> int:
        """How many calls an account has now."""
        return sum(admitted == account_id for admitted in self._admitted.values())

    def offered(self, offer: Offer) -> None:
        self._group.create_task(self._handle(offer), name=f"call {offer.call_id}")

    def hang_up(self, call_id: str, ending: Ending) -> bool:
        """End one call from within; answers whether there was such a call."""
        session = self._calls.get(call_id)
        if session is not None:
            session.hang_up(ending)
        return session is not None

    async def drain(self, limit_s: float) -> None:
        """Take no new calls; give the running ones `limit_s` to end by themselves, then end them."""
        self._draining = True
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("calls were ended by the drain's limit", calls=len(self._calls))
            for session in self._calls.values():
                session.hang_up(_DRAINING)

    async def _handle(self, offer: Offer) -> None:
        account_id, line_id = origin(offer, self._directory)
        record = CallRecord(
            call_id=offer.call_id,
            direction=offer.direction,
            account_id=account_id,
            line_id=line_id,
            caller=offer.caller.number or (f"id:{offer.caller.user.id}" if offer.caller.user else ""),
            dialled=offer.dialled,
            offered_at=dt.datetime.now(dt.UTC),
            telegram_user_id=offer.caller.user.id if offer.caller.user else None,
        )
        with structlog.contextvars.bound_contextvars(call_id=offer.call_id):
            log.info("call offered", direction=offer.direction.value, via=offer.via, dialled=offer.dialled)
            try:
                await self._connect(offer, record)
            except CallError as refused:
                await self._refuse(offer, record, refused.ending)
            except Exception:
                log.exception("call was not made by a fault of ours")
                await self._refuse(offer, record, Ending(HangupCause.INTERNAL, "a fault of the gateway"))
            finally:
                self._calls.pop(offer.call_id, None)
                self._admitted.pop(offer.call_id, None)
                if not self._admitted:
                    self._idle.set()
            await self._keep(record)

    async def _connect(self, offer: Offer, record: CallRecord) -> None:
        """Admit and route the offer, then carry the call to its end."""
        if self._draining:
            raise CallError.of(_DRAINING)
        found = routes(offer, self._directory)
        record.account_id, record.line_id = found[0].account.id, found[0].line.id
        self._admit(offer.call_id, found[0])
        side = self._far_sides.get(offer.direction)
        if side is None:
            raise CallError(HangupCause.OFFLINE, "the other side of the gateway is not up")
        media = self._pool.place(offer.call_id)
        far = self._far_leg(side, found, media)
        session = CallSession(record, offer.accept(media), far, media, self._limits, self._moved)
        self._calls[offer.call_id] = session
        await session.run(found[0].to, found[0].caller)
        record.line_id = {route.line.endpoint: route.line.id for route in found}.get(far.name, record.line_id)

    def _admit(self, call_id: str, route: Route) -> None:
        """Take a place for the call, before anything is opened for it."""
        account = route.account
        if self.calls_of(account.id) >= account.call_limit:
            raise CallError(HangupCause.OVER_LIMIT, f"the session account has its {account.call_limit} calls already")
        if self._call_limit is not None and len(self._admitted) >= self._call_limit:
            raise CallError(HangupCause.OVER_LIMIT, f"the gateway has its {self._call_limit} calls already")
        if self._admission is not None:
            self._admission.admit(account, self.calls_of)
        self._admitted[call_id] = account.id
        self._idle.clear()

    def _far_leg(self, side: Side, found: list[Route], media: Media) -> Leg:
        if len(found) == 1:
            return side.far_leg(found[0], media)
        return Fork(found, lambda route: side.far_leg(route, media))

    async def _refuse(self, offer: Offer, record: CallRecord, ending: Ending) -> None:
        record.ending, record.ended_by = ending, "gateway"
        record.ended_at = dt.datetime.now(dt.UTC)
        await offer.refuse(ending)
        self._moved(record, CallState.ENDED)

    def _moved(self, record: CallRecord, state: CallState) -> None:
        for watcher in self._watchers:
            watcher(record, state)

    async def _keep(self, record: CallRecord) -> None:
        """Write the record. A store that fails costs the record, never a call; the log then has it all."""
        log.info(
            "call ended",
            cause=record.ending.cause.value,
            detail=record.ending.detail,
            ended_by=record.ended_by,
            state=record.state.value,
            talk_s=round(record.talk_s, 1),
        )
        try:
            await self._records.write(record)
        except GatewayError:
            log.exception("call record was not kept", record=record)
