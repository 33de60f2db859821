"""Offers become calls, or are turned away, and are always recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from gateway.call.model import Account, CallRecord, CallState, Direction, Line, LineKind, Party, Route, TelegramUser
from gateway.call.ports import Leg, Media
from gateway.call.session import CallLimits
from gateway.call.switchboard import Switchboard
from gateway.errors import CallError, Ending, GatewayError, HangupCause
from tests.scripted import ScriptedLeg, ScriptedOffer, ScriptedPool, settle

USER = Party(user=TelegramUser(777, "anna", "4915"))


class House:
    """A switchboard with an account, some lines, and scripted far legs."""

    def __init__(self, lines: Sequence[Line] = (), call_limit: int = 2) -> None:
        self.account_ = Account(1, "4930", 1000, call_limit=call_limit)
        self.lines = list(lines or [Line(1, 1, "office", LineKind.TRUNK, number="100")])
        self.pool = ScriptedPool()
        self.kept: list[CallRecord] = []
        self.far: list[ScriptedLeg] = []
        self.routes: list[Route] = []
        self.store_fails = False
        self.board = Switchboard(self, self.pool, self, CallLimits())
        for direction in Direction:
            self.board.connect(direction, self)

    def account(self, account_id: int) -> Account | None:
        return self.account_ if account_id == 1 else None

    def line(self, endpoint: str) -> Line | None:
        return next((line for line in self.lines if line.endpoint == endpoint), None)

    def lines_of(self, account_id: int) -> Sequence[Line]:
        return [line for line in self.lines if line.account_id == account_id and line.enabled]

    def far_leg(self, route: Route, media: Media) -> Leg:
        self.routes.append(route)
        self.far.append(ScriptedLeg(route.line.endpoint))
        return self.far[-1]

    async def write(self, record: CallRecord) -> None:
        if self.store_fails:
            raise GatewayError("the disk is full")
        self.kept.append(record)


def from_pbx(dialled: str = "+4915112345678", via: str = "line1", call_id: str = "call") -> ScriptedOffer:
    return ScriptedOffer(Direction.SIP_TO_TELEGRAM, via, dialled, Party("101", "Desk"), call_id)


def from_telegram(via: str = "1", call_id: str = "call") -> ScriptedOffer:
    return ScriptedOffer(Direction.TELEGRAM_TO_SIP, via, "", USER, call_id)


async def test_pbx_s_call_reaches_the_user_and_is_recorded() -> None:
    house = House()
    offer = from_pbx()
    async with house.board as board:
        board.offered(offer.offer)
        await settle()
        assert house.far[0].heard == ["dial +4915112345678"]
        house.far[0].peer_answers()
        offer.near.peer_answers()
        await settle()
        assert board.calls["call"].state is CallState.UP
        offer.near.peer_lets_go()
        await settle()
        assert not board.calls
    (record,) = house.kept
    assert (record.ending.cause, record.account_id, record.line_id) == (HangupCause.NORMAL, 1, 1)


async def test_user_s_call_reaches_the_line_s_number_with_his_caller_id() -> None:
    house = House()
    async with house.board as board:
        board.offered(from_telegram().offer)
        await settle()
    assert house.routes[0].to == "100"
    assert house.routes[0].caller.number == "4915"


async def test_line_without_a_number_is_called_at_the_account_s_own() -> None:
    house = House([Line(1, 1, "office", LineKind.TRUNK)])
    async with house.board as board:
        board.offered(from_telegram().offer)
        await settle()
    assert house.routes[0].to == "4930"


async def test_record_names_the_line_that_answered() -> None:
    house = House([Line(n, 1, "office", LineKind.TRUNK) for n in (1, 2)])
    offer = from_telegram()
    async with house.board as board:
        board.offered(offer.offer)
        await settle()
        house.far[1].peer_answers()
        offer.near.peer_answers()
        await settle()
        offer.near.peer_lets_go()
    assert house.kept[0].line_id == 2


@pytest.mark.parametrize(
    ("offer", "cause"),
    [
        (lambda: from_pbx(via="line9"), HangupCause.NO_LINE),
        (lambda: from_pbx(dialled="12"), HangupCause.INVALID_NUMBER),
        (lambda: from_telegram(via="9"), HangupCause.OFFLINE),
    ],
)
async def test_offer_that_goes_nowhere_is_refused_with_its_reason_and_recorded(
    offer: object, cause: HangupCause
) -> None:
    made: ScriptedOffer = offer()  # type: ignore[operator]
    house = House()
    async with house.board as board:
        board.offered(made.offer)
        await settle()
    assert made.refused_with is not None
    assert made.refused_with.cause is cause
    assert [record.ending.cause for record in house.kept] == [cause]


async def test_account_without_an_enabled_line_has_no_line() -> None:
    house = House([Line(1, 1, "office", LineKind.TRUNK, enabled=False)])
    offer = from_telegram()
    async with house.board as board:
        board.offered(offer.offer)
        await settle()
    assert offer.refused_with is not None
    assert offer.refused_with.cause is HangupCause.NO_LINE


async def test_calls_beyond_the_account_s_limit_are_refused_until_one_ends() -> None:
    house = House(call_limit=1)
    first, second, third = (from_pbx(call_id=name) for name in ("first", "second", "third"))
    async with house.board as board:
        board.offered(first.offer)
        board.offered(second.offer)
        await settle()
        assert second.refused_with is not None
        assert second.refused_with.cause is HangupCause.OVER_LIMIT
        first.near.peer_lets_go()
        await settle()
        board.offered(third.offer)
        await settle()
        assert third.refused_with is None


async def test_no_worker_refuses_the_call_and_frees_its_place() -> None:
    house = House(call_limit=1)
    house.pool.full = True
    offers = [from_pbx(call_id=str(n)) for n in range(3)]
    async with house.board as board:
        for offer in offers:
            board.offered(offer.offer)
            await settle()
    assert [offer.refused_with.cause for offer in offers if offer.refused_with] == [HangupCause.CONGESTION] * 3


async def test_drain_refuses_new_calls_and_waits_for_the_running() -> None:
    house = House()
    running, late = from_pbx(call_id="running"), from_pbx(call_id="late")
    async with house.board as board:
        board.offered(running.offer)
        await settle()
        drain = asyncio.create_task(board.drain(5))
        await settle()
        board.offered(late.offer)
        await settle()
        assert late.refused_with is not None
        assert late.refused_with.cause is HangupCause.SHUTDOWN
        assert not drain.done()
        running.near.peer_lets_go()
        await asyncio.wait_for(drain, 1)


async def test_drain_s_limit_ends_what_still_runs_and_tells_both_sides() -> None:
    house = House()
    running = from_pbx()
    async with house.board as board:
        board.offered(running.offer)
        await settle()
        await board.drain(0.01)
        await settle()
    assert running.near.let_go_with == house.far[0].let_go_with
    assert house.kept[0].ending.cause is HangupCause.SHUTDOWN


async def test_store_that_fails_costs_the_record_but_no_call() -> None:
    house = House()
    house.store_fails = True
    offers = [from_pbx(call_id=name) for name in ("a", "b")]
    async with house.board as board:
        for offer in offers:
            board.offered(offer.offer)
            await settle()
            offer.near.peer_lets_go()
            await settle()
    assert all(offer.near.let_go_with for offer in offers)


async def test_operator_ends_one_call_by_its_id() -> None:
    house = House()
    offer = from_pbx()
    async with house.board as board:
        board.offered(offer.offer)
        await settle()
        assert board.hang_up("call", Ending(HangupCause.NORMAL, "ended by the operator"))
        assert not board.hang_up("other", Ending(HangupCause.NORMAL))
    assert house.kept[0].ended_by == "gateway"


async def test_every_move_is_told_to_the_watchers_in_order() -> None:
    house = House()
    seen: list[CallState] = []
    house.board.watch(lambda record, state: seen.append(state))
    offer = from_pbx()
    async with house.board as board:
        board.offered(offer.offer)
        await settle()
        house.far[0].peer_refuses(HangupCause.BUSY)
        await settle()
    assert seen == [CallState.DIALLING, CallState.ENDING, CallState.ENDED]


def test_call_error_carries_its_ending() -> None:
    assert CallError(HangupCause.FLOOD, "FLOOD_WAIT_3", 3).ending == Ending(HangupCause.FLOOD, "FLOOD_WAIT_3", 3)


async def test_what_was_granted_is_asked_before_a_call_takes_its_place() -> None:
    house = House()
    asked: list[tuple[int, int]] = []

    class Plan:
        def admit(self, account: Account, calls_of: Callable[[int], int]) -> None:
            asked.append((account.id, calls_of(account.id)))
            if calls_of(account.id):
                raise CallError(HangupCause.OVER_LIMIT, "one call is what was granted")

    house.board.admit_by(Plan())
    first, second = from_telegram(call_id="a"), from_telegram(call_id="b")
    async with house.board as board:
        board.offered(first.offer)
        await settle()
        board.offered(second.offer)
        await settle()
        assert asked == [(1, 0), (1, 1)]
        assert board.calls_of(1) == 1
    assert second.refused_with == Ending(HangupCause.OVER_LIMIT, "one call is what was granted")


async def test_a_refused_call_s_record_says_whose_it_was() -> None:
    house = House([Line(1, 1, "office", LineKind.TRUNK, enabled=False)])
    async with house.board as board:
        for offer in (from_pbx(call_id="a"), from_telegram(call_id="b"), from_pbx(via="line9", call_id="c")):
            board.offered(offer.offer)
        await settle()
    kept = {record.call_id: (record.account_id, record.line_id) for record in house.kept}
    assert kept == {"a": (1, 1), "b": (1, None), "c": (None, None)}
