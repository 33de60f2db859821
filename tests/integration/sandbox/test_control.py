"""The sandbox over HTTP, as another program or a person with curl uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from telethon import errors
from telethon.tl import functions

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.conftest import ANN, BOB
from tests.integration.sandbox.phones import Phone


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sandbox.control_url, raise_for_status=True) as session:
        yield session


async def ask(http: aiohttp.ClientSession, verb: str, path: str, body: Any = None) -> Any:
    async with http.request(verb, path, json=body) as response:
        return await response.json()


async def test_a_user_is_made_logs_in_and_is_revoked(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    made = await ask(http, "POST", "/users", {"phone": ANN, "first_name": "Ann", "password": "geheim"})
    client = sandbox.client()
    await client.connect()
    await client.send_code_request(ANN)
    code = (await ask(http, "GET", "/codes/15550001"))["code"]
    with pytest.raises(errors.SessionPasswordNeededError):
        await client.sign_in(ANN, code)
    assert (await client.sign_in(password="geheim")).id == made["id"]
    shown = await ask(http, "GET", "/users/15550001")
    assert shown["online"]
    [authorization] = shown["authorizations"]
    await ask(http, "DELETE", f"/authorizations/{authorization['hash']}")
    with pytest.raises(errors.UnauthorizedError):
        await client(functions.updates.GetStateRequest())
    await client.disconnect()


async def test_a_session_is_made_without_the_way_there(
    sandbox: Sandbox, http: aiohttp.ClientSession, ann: User
) -> None:
    made = await ask(http, "POST", "/users/15550001/session", {"age_s": 90_000})
    client = sandbox.client(session=made["session"])
    await client.connect()
    assert (await client.get_me()).id == ann.id
    await client.disconnect()


async def test_calls_are_listed_with_their_ends(
    http: aiohttp.ClientSession, ann_phone: Phone, bob_phone: Phone
) -> None:
    waiting = await ann_phone.call(BOB)
    [call] = await ask(http, "GET", "/calls")
    assert (call["id"], call["state"]) == (waiting.id, "requested")
    await ask(http, "DELETE", f"/calls/{waiting.id}", {"reason": "missed"})
    [call] = await ask(http, "GET", "/calls")
    assert (call["state"], call["reason"], call["ended_by"]) == ("discarded", "missed", "server")


async def test_faults_come_and_go(http: aiohttp.ClientSession, ann_phone: Phone) -> None:
    rule = await ask(http, "POST", "/faults", {"method": "updates.*", "error": "420 FLOOD_WAIT_7"})
    with pytest.raises(errors.FloodWaitError):
        await ann_phone.client(functions.updates.GetStateRequest())
    assert (await ask(http, "GET", "/faults"))[0]["happened"] == 1
    await ask(http, "DELETE", f"/faults/{rule['id']}")
    assert await ask(http, "GET", "/faults") == []


async def test_settings_are_changed_and_checked(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    await ask(http, "PATCH", "/settings", {"clock_offset_s": 86_400, "p2p_allowed": False})
    assert (sandbox.settings.clock_offset_s, sandbox.settings.p2p_allowed) == (86_400, False)
    for wrong in ({"clock": 1}, {"clock_offset_s": "noon"}):
        async with http.patch("/settings", json=wrong, raise_for_status=False) as refused:
            assert refused.status == 400
            assert (await refused.json())["error"]


@pytest.mark.usefixtures("ann", "bob")
async def test_messages_privacy_and_blocks(sandbox: Sandbox, http: aiohttp.ClientSession, ann: User, bob: User) -> None:
    await ask(http, "POST", "/users/15550001/messages", {"to": BOB, "text": "hi"})
    [message] = await ask(http, "GET", "/users/15550002/messages")
    assert (message["text"], message["peer"], message["outgoing"]) == ("hi", ann.id, False)
    await ask(http, "PATCH", "/users/15550002", {"block": ANN, "privacy": {"PhoneCall": [["DisallowAll", []]]}})
    assert sandbox.telegram.world.is_blocked(bob.id, ann.id)
    assert not sandbox.telegram.world.allows(bob.id, "PhoneCall", ann.id)


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "/users/15559999", None, 404),
        ("GET", "/codes/15550001", None, 404),
        ("POST", "/users", {"phone": ANN}, 409),
        ("POST", "/users", {"first_name": "Nobody"}, 400),
        ("POST", "/faults", {"method": "*", "error": "oops"}, 400),
        ("POST", "/robots", {"user": ANN, "behaviour": {"on_call": "dance"}}, 400),
        ("GET", "/robots/7", None, 404),
        ("GET", "/nowhere", None, 404),
    ],
)
async def test_what_can_not_be_is_refused_with_a_sentence(
    http: aiohttp.ClientSession, verb: str, path: str, body: Any, status: int
) -> None:
    async with http.request(verb, path, json=body, raise_for_status=False) as refused:
        assert refused.status == status
        assert (await refused.json())["error"]


async def test_a_robot_is_played_over_http(http: aiohttp.ClientSession, ann_phone: Phone, bob: User) -> None:
    robot = await ask(http, "POST", "/robots", {"user": BOB, "behaviour": {"on_call": "busy"}})
    await ann_phone.call(BOB)
    for _ in range(100):
        shown = await ask(http, "GET", f"/robots/{robot['id']}")
        if shown["calls"] and shown["calls"][0]["state"] == "ended":
            break
    assert shown["calls"][0]["reason"] == "busy"
    with pytest.raises(aiohttp.ClientResponseError):
        await ask(http, "POST", f"/robots/{robot['id']}/call", {"to": "+15559999"})
    assert (await ask(http, "GET", "/"))["failures"] == []
