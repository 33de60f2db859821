"""Giving sessions away: offered, accepted or declined, whatever happens in between."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.call.model import LineKind
from gateway.control.door import Administrator, NotFoundError, NoticeKind, Subscription
from gateway.control.requests import answer_form
from gateway.errors import GatewayError
from gateway.storage.store import Store
from tests.integration.control.conftest import CAROL, OPERATOR, House, make_house

ANNA, BORIS, CLARA = Administrator(1), Administrator(2), Administrator(3)


async def test_a_session_changes_hands_with_its_lines_once_the_other_accepts(house: House) -> None:
    session = await house.session(administrator=1)
    line = (await house.lines.add(ANNA, session, LineKind.PBX_REGISTERS, {"name": "x"})).line.id
    view = await house.handovers.offer(ANNA, session, 2)
    assert view.handover is not None
    assert view.handover.to_id == 2
    assert [one.account.id for one in house.handovers.offered_to(BORIS)] == [session]
    with pytest.raises(NotFoundError):
        house.accounts.show(BORIS, session)  # not before he accepts
    assert (await house.handovers.accept(BORIS, session)).account.administrator_id == 2
    assert house.lines.show(BORIS, line).line.id == line
    with pytest.raises(NotFoundError):
        house.accounts.show(ANNA, session)
    assert house.handovers.offered_to(BORIS) == []


async def test_an_offer_survives_a_restart_and_so_does_its_withdrawal(house: House, store: Store) -> None:
    session = await house.session(administrator=1)
    await house.handovers.offer(ANNA, session, 2)
    again = await make_house(store)
    assert [one.account.id for one in again.handovers.offered_to(BORIS)] == [session]
    await again.handovers.withdraw(ANNA, session)
    again = await make_house(store)
    assert again.handovers.offered_to(BORIS) == []
    with pytest.raises(NotFoundError, match="not offered to you"):
        await again.handovers.accept(BORIS, session)


async def test_who_declines_leaves_all_as_it_was(house: House) -> None:
    session = await house.session(administrator=1)
    await house.handovers.offer(ANNA, session, 2)
    await house.handovers.decline(BORIS, session)
    assert house.accounts.show(ANNA, session).handover is None
    with pytest.raises(NotFoundError):
        await house.handovers.accept(BORIS, session)


async def test_an_account_that_is_offered_comes_whole_over_the_socket(house: House) -> None:
    session = await house.session(administrator=1)
    await house.accounts.set_chat(ANNA, session, {"autoreply_text": "Bitte anrufen", "redial": "on"})
    await house.handovers.offer(ANNA, session, 2)
    views = house.accounts.list(OPERATOR)
    form = answer_form("ListSessions")
    assert form.validate_json(form.dump_json(views)) == views


async def test_an_offer_that_was_accepted_as_the_gateway_died_is_not_there_after_it(house: House, store: Store) -> None:
    session = await house.session(administrator=1)
    await house.handovers.offer(ANNA, session, 2)
    account = house.accounts.show(ANNA, session).account
    await store.accounts.save(dataclasses.replace(account, administrator_id=2))
    again = await make_house(store)
    assert again.handovers.offered_to(BORIS) == []
    assert again.accounts.show(BORIS, session).handover is None


async def test_only_whom_it_is_offered_to_may_answer_and_only_its_administrator_may_offer(house: House) -> None:
    session = await house.session(administrator=1)
    await house.session(CAROL, administrator=3)
    with pytest.raises(NotFoundError):
        await house.handovers.offer(CLARA, session, 3)
    await house.handovers.offer(ANNA, session, 2)
    for answer in (house.handovers.accept, house.handovers.decline):
        with pytest.raises(NotFoundError):
            await answer(CLARA, session)
        with pytest.raises(NotFoundError):
            await answer(ANNA, session)
    with pytest.raises(NotFoundError):
        await house.handovers.withdraw(CLARA, session)


async def test_a_second_offer_replaces_the_first(house: House) -> None:
    session = await house.session(administrator=1)
    await house.handovers.offer(ANNA, session, 2)
    await house.handovers.offer(ANNA, session, 3)
    assert house.handovers.offered_to(BORIS) == []
    await house.handovers.accept(CLARA, session)


async def test_what_the_operator_decides_voids_an_offer(house: House) -> None:
    session = await house.session(administrator=1)
    await house.handovers.offer(ANNA, session, 2)
    await house.accounts.assign(OPERATOR, session, 3)
    with pytest.raises(NotFoundError):
        await house.handovers.accept(BORIS, session)


@pytest.mark.parametrize(("to", "told"), [(1, "already"), (0, "such as 123456789"), (1000, "does not let him")])
async def test_impossible_offers_are_refused_with_a_reason(house: House, to: int, told: str) -> None:
    session = await house.session(administrator=1)
    with pytest.raises(GatewayError, match=told):
        await house.handovers.offer(ANNA, session, to)


async def test_a_session_that_is_given_up_is_nobody_s_until_it_is_assigned(house: House) -> None:
    session = await house.session(administrator=1)
    await house.handovers.give_up(ANNA, session)
    assert house.accounts.list(ANNA) == []
    await house.accounts.assign(OPERATOR, session, 2)
    assert len(house.accounts.list(BORIS)) == 1


async def test_both_are_told(house: House, store: Store) -> None:
    session = await house.session(administrator=1)
    async with house.notices:
        await house.handovers.offer(ANNA, session, 2)
        await house.handovers.accept(BORIS, session)
    kept = [(one.kind, one.addressee, dict(one.facts)) for one in await store.notices.all()]
    assert kept == [
        (NoticeKind.HANDOVER_OFFERED, 2, {"from": "1", "name": "Alice", "phone": "79990000001"}),
        (NoticeKind.HANDOVER_ACCEPTED, 1, {"to": "2", "name": "Alice"}),
    ]


async def test_a_session_too_many_is_taken_over_without_the_subscription(house: House) -> None:
    await house.subscriptions.grant(OPERATOR, Subscription(2, sessions=1))
    await house.session(CAROL, administrator=2)
    session = await house.session(administrator=1)
    await house.handovers.offer(ANNA, session, 2)
    view = await house.handovers.accept(BORIS, session)
    assert not view.shares_subscription
    assert not view.coverage.allows_calls
