"""What administrators decide, on real calls: subscriptions, routing, and what they are told of a PBX that went away."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.call.model import CallState
from gateway.control.door import Administrator, NoticeKind, RecipeKind, Subscription
from gateway.demo.world import BUSINESS_PHONE, OPERATOR, connect_account, open_world
from gateway.errors import GatewayError, HangupCause
from tests.e2e.stage import SOON_S, Stage
from tests.integration.control.test_notices import Chat

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANNA = Administrator(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "telegram").mkdir()
    shutil.copy(sandbox_key, folder / "telegram")
    slices: dict[str, dict[str, Any]] = {
        "media": {"engine": "tgcall"},
        "control": {"line_settle_s": 0.2},
        "telegram": {"poll_s": 0.5},
    }
    async with open_world(folder, **slices) as world:
        await world.gateway.accounts.assign(OPERATOR, world.account.id, ANNA.id)
        yield Stage(world)


async def test_a_recipe_routes_the_next_call_and_is_gone_when_it_is_cleared(stage: Stage) -> None:
    routings, line = stage.gateway.use_cases.routings, stage.world.line.id
    shown = routings.preview(ANNA, line, RecipeKind.NUMBER, {"number": "205"})
    assert "Set(SIPTG_NUMBER=205)" in shown.text
    assert routings.show(ANNA, line).recipe is None  # it was only shown
    assert (await routings.choose(ANNA, line, RecipeKind.NUMBER, {"number": "205"})).text == shown.text
    assert await number_asked_for(stage) == "205"
    with pytest.raises(GatewayError, match="no context “nowhere”"):
        await routings.choose(ANNA, line, RecipeKind.CONTEXT, {"context": "nowhere"})
    assert routings.show(ANNA, line).text == shown.text  # undone in the store, and in Asterisk:
    assert await number_asked_for(stage) == "205"
    await routings.clear(ANNA, line)
    assert await number_asked_for(stage) == stage.world.account.phone


async def number_asked_for(stage: Stage) -> str:
    before = len(stage.records)
    async with stage.user() as robot:
        call = await stage.called(robot)
        await call.answered()
        await stage.up()
        await call.hang_up()
        await stage.record(before)
        await stage.nothing_left()
    return call.invite.uri.removeprefix("sip:").partition("@")[0]


async def test_a_subscription_s_limit_turns_the_second_call_away(stage: Stage) -> None:
    subscriptions = stage.gateway.subscriptions
    await subscriptions.grant(OPERATOR, Subscription(ANNA.id, calls=1))
    before = len(stage.records)
    async with stage.user() as robot, stage.user() as another:
        call = await stage.called(robot)
        await call.answered()
        assert stage.gateway.accounts.show(ANNA, stage.world.account.id).calls == 1
        async with asyncio.timeout(SOON_S):
            while {one.state for one in stage.gateway.board.calls.values()} != {CallState.UP}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await another.call(stage.world.business)
        refused = await stage.record(before)
        assert refused.ending.cause is HangupCause.OVER_LIMIT
        assert "1 simultaneous calls" in refused.ending.detail
        await call.hang_up()
        await stage.record(before + 1)
        await stage.nothing_left()
    view = subscriptions.mine(ANNA)
    assert view is not None
    assert view.used_s > 0
    await subscriptions.revoke(OPERATOR, ANNA.id)


async def test_a_pbx_that_goes_away_and_comes_back_is_told_once_each(stage: Stage) -> None:
    chat = Chat()
    stage.gateway.notices.deliver_by(chat)
    await stage.phone.register(0)
    assert await chat.said(1) == [(ANNA.id, NoticeKind.LINE_DOWN, False)]
    assert chat.told[0].line_id == stage.world.line.id
    assert "has not registered" in chat.told[0].facts["detail"]
    await stage.phone.register()
    assert (await chat.said(2))[1:] == [(ANNA.id, NoticeKind.LINE_DOWN, True)]
    await asyncio.sleep(0.5)
    assert len(chat.told) == 2
    stage.gateway.notices.deliver_by(None)


async def test_a_session_that_is_revoked_on_the_phone_is_told_and_so_is_its_new_login(stage: Stage) -> None:
    chat = Chat()
    stage.gateway.notices.deliver_by(chat)
    [ours] = stage.sandbox.authorizations(stage.world.business)
    stage.sandbox.revoke(ours)
    assert await chat.said(1) == [(ANNA.id, NoticeKind.SESSION_LOST, False)]
    await connect_account(stage.gateway, stage.sandbox, BUSINESS_PHONE)
    assert (await chat.said(2))[1:] == [(ANNA.id, NoticeKind.SESSION_LOST, True)]
    stage.gateway.notices.deliver_by(None)
