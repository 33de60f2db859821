"""Recipes of routing in a real Asterisk: written, reloaded, read back, undone."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.call.model import Party
from gateway.errors import CallError, HangupCause
from gateway.provisioning.ami import connected
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.recipes import Recipe, RecipeKind, route
from gateway.provisioning.routes import Routes
from gateway.sandbox.phone import ANSWER, PhoneCall
from gateway.sip.embedded import Asterisk
from tests.asterisk_fixtures import Place, asterisk, eventually, no_alerting, place, registering_line

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOM = """[sales-menu]
exten => 100,1,Set(SIPTG_NUMBER=4711)
 same => n,Goto(siptg-dial,s,1)

[siptg-out-custom]
exten => 777,1,Set(SIPTG_NUMBER=888)
 same => n,Goto(siptg-dial,s,1)
"""

#: A leg is used once, and its id is its own.
CALLS = itertools.count()


def number(text: str) -> Recipe:
    return Recipe.read(RecipeKind.NUMBER, {"number": text})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """An Asterisk with a telephone on line 1, written by hand; its routing is the provisioner's."""
    state = tmp_path_factory.mktemp("asterisk")
    (state / "etc/siptg-custom").mkdir(parents=True)
    (state / "etc/siptg-custom/extensions_test.conf").write_text(CUSTOM)
    async with asterisk(state, registering_line(1)) as running, place(running) as p:
        yield p


@pytest_asyncio.fixture(loop_scope="module")
async def here(shared: Place) -> Place:
    shared.phone.behaviour = ANSWER
    while not shared.phone.came.empty():
        shared.phone.came.get_nowait()
    return shared


async def applied(running: Asterisk, recipes: dict[int, Recipe]) -> dict[int, str]:
    """As the provisioner does, without its lines: these are written by hand here."""
    routes = Routes()
    async with connected(running.ami, lambda event: None) as ami:
        await routes.load(ami)
        return await routes.reconcile(ami, recipes)


async def dialled(here: Place, to: str = "100") -> PhoneCall:
    """Call out on line 1; what the telephone is asked for."""
    leg, _ = here.far(f"call{next(CALLS)}")
    await leg.dial(to, Party("1", "Anna"), no_alerting)
    return await here.phone.came.get()


async def asked_for(here: Place, to: str = "100") -> str:
    call = await dialled(here, to)
    await call.hang_up()
    return call.invite.uri.removeprefix("sip:").partition("@")[0]


async def test_without_a_recipe_the_number_is_dialled_and_by_a_recipe_its_own(here: Place) -> None:
    assert await applied(here.asterisk, {}) == {}
    assert await asked_for(here) == "100"
    assert await applied(here.asterisk, {1: number("200"), 34: number("300")}) == {}
    assert await asked_for(here) == "200"
    assert await applied(here.asterisk, {1: number("201")}) == {}
    assert await asked_for(here) == "201"
    assert await applied(here.asterisk, {}) == {}
    assert await asked_for(here) == "100"


async def test_an_engineers_own_extension_comes_before_a_recipe(here: Place) -> None:
    await applied(here.asterisk, {1: number("200")})
    assert await asked_for(here, "777") == "888"


async def test_outside_the_opening_hours_another_number_is_dialled_or_nobody(here: Place) -> None:
    now = dt.datetime.now()
    soon, late = now + dt.timedelta(hours=2), now + dt.timedelta(hours=4)
    shut = {"times": f"{soon:%H:%M}-{late:%H:%M}", "open_number": "200"}
    opened = {"times": f"{now - dt.timedelta(hours=2):%H:%M}-{late:%H:%M}", "open_number": "200"}
    await applied(here.asterisk, {1: Recipe.read(RecipeKind.HOURS, opened | {"closed_number": "300"})})
    assert await asked_for(here) == "200"
    await applied(here.asterisk, {1: Recipe.read(RecipeKind.HOURS, shut | {"closed_number": "300"})})
    assert await asked_for(here) == "300"
    await applied(here.asterisk, {1: Recipe.read(RecipeKind.HOURS, shut)})
    leg, _ = here.far(f"call{next(CALLS)}")
    with pytest.raises(CallError) as refused:
        await leg.dial("100", Party(), no_alerting)
    assert refused.value.ending.cause is HangupCause.DECLINED
    await leg.release(refused.value.ending)


async def test_the_time_zone_of_the_opening_hours_counts(here: Place) -> None:
    """Where it is another time of day by 12 hours, what is open here is shut there."""
    now = dt.datetime.now(dt.UTC)
    times = f"{now - dt.timedelta(hours=1):%H:%M}-{now + dt.timedelta(hours=1):%H:%M}"
    for zone, wanted in (("UTC", "200"), ("Etc/GMT+12", "300")):
        fields = {"times": times, "zone": zone, "open_number": "200", "closed_number": "300"}
        assert await applied(here.asterisk, {1: Recipe.read(RecipeKind.HOURS, fields)}) == {}
        assert await asked_for(here) == wanted


async def test_digits_are_pressed_in_the_menu_before_the_caller_is_connected(here: Place) -> None:
    await applied(here.asterisk, {1: Recipe.read(RecipeKind.IVR, {"number": "600", "digits": "w1w2#"})})
    call = await dialled(here)
    assert call.invite.uri.startswith("sip:600@")
    await eventually(lambda: call.sound.digits == "12#")
    await call.hang_up()


async def test_an_engineers_context_decides_and_one_that_is_not_there_is_refused(here: Place) -> None:
    known = Recipe.read(RecipeKind.CONTEXT, {"context": "sales-menu"})
    assert await applied(here.asterisk, {1: known}) == {}
    assert await asked_for(here) == "4711"
    unknown = Recipe.read(RecipeKind.CONTEXT, {"context": "no-such-menu"})
    refused = await applied(here.asterisk, {1: unknown, 2: number("200")})
    assert list(refused) == [1]
    assert "no context “no-such-menu”" in refused[1]
    assert await asked_for(here) == "4711"  # as before


async def test_a_call_goes_on_while_recipes_change(here: Place) -> None:
    await applied(here.asterisk, {1: number("200")})
    call = await dialled(here)
    await applied(here.asterisk, {1: number("300")})
    await applied(here.asterisk, {})
    await asyncio.sleep(0.2)
    assert call.ended_at is None
    await call.hang_up()


async def test_the_provisioner_applies_recipes_once_asterisk_is_there_and_what_was_left_behind_goes(
    tmp_path: Path,
) -> None:
    async with asterisk(tmp_path, "") as running:
        await applied(running, {1: number("200"), 2: number("201")})
        async with Provisioner(lambda: running.ami) as provisioner:
            assert await provisioner.route({1: number("205")}) == {}
            await provisioner.apply([])
            async with asyncio.timeout(10):
                while await contexts(running) != {1}:  # noqa: ASYNC110 - Asterisk is asked
                    await asyncio.sleep(0.05)
            assert "205" in (running.config_dir / "siptg_routing_1.conf").read_text()
            await provisioner.apply([])  # and line 1 is not there
            assert await contexts(running) == set()


async def contexts(running: Asterisk) -> set[int]:
    routes = Routes()
    async with connected(running.ami, lambda event: None) as ami:
        await routes.load(ami)
    return set(routes.written)


async def test_what_is_shown_is_what_is_written(here: Place, tmp_path: Path) -> None:
    recipe = Recipe.read(RecipeKind.HOURS, {"times": "9:00-18:00", "days": "mon-thu, sat", "zone": "Europe/Berlin"})
    await applied(here.asterisk, {1: recipe})
    written = (here.asterisk.config_dir / "siptg_routing_1.conf").read_text()
    for _, step in route(1, recipe).options:
        assert step in written
