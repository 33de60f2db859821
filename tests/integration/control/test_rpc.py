from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.call.model import LineKind
from gateway.control import rpc as rpc_module
from gateway.control.door import Ask, own, reaching, serving
from gateway.control.requests import (
    REQUESTS,
    AddLine,
    ChangeSession,
    EditLine,
    ExportCalls,
    KeepSession,
    ListCalls,
    ListLines,
    ListLiveCalls,
    ListSessions,
    LogOutSession,
    RemoveLine,
    ShowCredentials,
)
from gateway.control.rpc import hand_over
from gateway.errors import GatewayError
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from tests.integration.control.conftest import ALICE, House, make_house
from tests.integration.control.test_calls import record


@asynccontextmanager
async def opened(state: Path) -> AsyncIterator[Ask]:
    """What a command does without a gateway."""
    async with Store(StorageSettings(), state) as store:
        yield (await make_house(store, running=False)).ask


@asynccontextmanager
async def asking(state: Path, house: House, where: str) -> AsyncIterator[Ask]:
    if where == "here":
        async with reaching(state / "alone", lambda: opened(state / "alone")) as ask:
            yield ask
    else:
        with own(state):
            async with serving(state, house), reaching(state, lambda: opened(state)) as ask:
                yield ask


@pytest.mark.parametrize("where", ["here", "at the running gateway"])
async def test_every_request_is_answered_alike_here_and_at_the_running_gateway(
    tmp_path: Path, house: House, where: str
) -> None:
    async with asking(tmp_path, house, where) as ask:
        kept = await ask(KeepSession.of(ALICE))
        account = kept.account.id
        assert await ask(ListSessions()) == [kept]
        changed = await ask(ChangeSession(account, enabled=False, call_limit=3, administrator_id=9))
        assert (changed.account.enabled, changed.account.call_limit, changed.account.administrator_id) == (False, 3, 9)
        assert (await ask(ChangeSession(account, administrator_id=0))).account.administrator_id is None
        view = await ask(AddLine(account, LineKind.PBX_REGISTERS, {"name": "Büro", "trusted": "10.0.0.1"}))
        assert view.line.trusted == ("10.0.0.1",)
        edited = await ask(EditLine(view.line.id, {"dtmf": "info"}))
        assert await ask(ListLines()) == await ask(ListLines(account)) == [edited]
        shown = await ask(ShowCredentials(view.line.id))
        assert (await ask(ShowCredentials(view.line.id, reset=True))).password != shown.password
        assert await ask(ListLiveCalls()) == []
        assert await ask(ListCalls(since=dt.datetime.now(dt.UTC))) == []
        assert (await ask(ExportCalls())).startswith("call_id,")
        await ask(RemoveLine(view.line.id))
        await ask(LogOutSession(account))
        assert await ask(ListSessions()) == []
        with pytest.raises(GatewayError, match="There is no line 99"):
            await ask(RemoveLine(99))


async def test_what_is_handed_over_is_kept_by_the_running_gateway_to_the_byte(tmp_path: Path, house: House) -> None:
    async with asking(tmp_path, house, "there") as ask:
        kept = await ask(KeepSession.of(ALICE))
    assert await house.store.telegram.load_session(kept.account.id) == ALICE.secret
    assert await house.store.telegram.load_peers(kept.account.id) == [tuple(ALICE.peers[0])]
    assert kept.account.id in house.telegram.online
    assert "first" not in repr(KeepSession.of(ALICE))


async def test_call_records_come_whole_over_the_socket(tmp_path: Path, house: House) -> None:
    written = record("c1", None)
    await house.store.records.write(written)
    async with asking(tmp_path, house, "there") as ask:
        assert await ask(ListCalls()) == [written]


async def test_the_socket_is_for_its_owner_alone_and_goes_with_the_gateway(tmp_path: Path, house: House) -> None:
    async with serving(tmp_path, house):
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
    assert not (tmp_path / "control.sock").exists()


async def test_a_state_folder_with_a_long_path_has_a_socket_too(tmp_path: Path, house: House) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with asking(deep, house, "there") as ask:
        assert await ask(ListSessions()) == []


async def test_a_socket_left_by_a_crash_is_no_gateway(tmp_path: Path, house: House) -> None:
    async with serving(tmp_path, house):
        os.link(tmp_path / "control.sock", tmp_path / "left")
    (tmp_path / "left").rename(tmp_path / "control.sock")
    async with reaching(tmp_path, lambda: opened(tmp_path)) as ask:
        assert await ask(ListSessions()) == []
    async with serving(tmp_path, house), reaching(tmp_path, lambda: opened(tmp_path)) as ask:
        assert await ask(ListSessions()) == []


async def test_a_gateway_that_does_not_listen_yet_is_waited_for_and_never_worked_around(
    tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_module, "BUSY_S", 0.3)
    with own(tmp_path):
        with pytest.raises(GatewayError, match="starting or stopping"):
            async with reaching(tmp_path, lambda: opened(tmp_path)):
                pass
        waiting = asyncio.create_task(_list(tmp_path))
        await asyncio.sleep(0.15)
        async with serving(tmp_path, house):
            assert await waiting == []


async def _list(state: Path) -> list[Any]:
    async with reaching(state, lambda: opened(state)) as ask:
        return await ask(ListSessions())


def test_a_state_folder_has_one_owner(tmp_path: Path) -> None:
    with own(tmp_path), pytest.raises(GatewayError, match="Another gateway"), own(tmp_path):
        pass
    with own(tmp_path):
        pass
    with pytest.raises(GatewayError, match="can't be used"), own(Path("/proc/siptg")):
        pass


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish",
        b"[]",
        b'{"ask": "Nothing", "with": {}}',
        b'{"ask": "ListLines"}',
        b'{"ask": "ListLines", "with": {"account_id": "x"}}',
        b'{"ask": "KeepSession", "with": {"account": 1}}',
        b"\xff\xfe",
        b"",
    ],
)
async def test_what_is_not_understood_is_answered_with_a_sentence(tmp_path: Path, house: House, line: bytes) -> None:
    async with serving(tmp_path, house):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
        writer.write(line + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
    assert "another version" in answer["error"]


async def test_a_gateway_that_goes_away_is_told_in_a_sentence(tmp_path: Path) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(hang_up, str(tmp_path / "control.sock"))
    async with server, reaching(tmp_path, lambda: opened(tmp_path)) as ask:
        with pytest.raises(GatewayError, match="went away before it answered"):
            await ask(ListSessions())


async def test_a_login_that_a_dying_gateway_does_not_answer_for_is_handed_to_the_store(tmp_path: Path) -> None:
    ended: list[bytes] = []

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readline()
        writer.close()
        if asked:
            server.close()
            (tmp_path / "control.sock").unlink()

    async def log_out(secret: bytes) -> bool:
        ended.append(secret)
        return True

    server = await asyncio.start_unix_server(die, str(tmp_path / "control.sock"))
    kept = await hand_over(tmp_path, lambda: opened(tmp_path), ALICE, log_out)
    async with Store(StorageSettings(), tmp_path) as store:
        assert await store.telegram.load_session(kept.account.id) == ALICE.secret
    assert ended == []


async def test_a_login_that_can_not_be_kept_is_ended_at_telegram(tmp_path: Path) -> None:
    ended: list[bytes] = []

    async def log_out(secret: bytes) -> bool:
        ended.append(secret)
        return True

    with pytest.raises(GatewayError, match="can't be made"):
        await hand_over(tmp_path, lambda: opened(Path("/proc/none")), ALICE, log_out)
    assert ended == [ALICE.secret]


async def test_many_commands_at_once_are_all_answered(tmp_path: Path, house: House) -> None:
    account = await house.session()
    async with asking(tmp_path, house, "there") as ask:
        added = await asyncio.gather(*(ask(AddLine(account, LineKind.PBX_REGISTERS)) for _ in range(10)))
    assert len({view.line.id for view in added}) == 10


def test_every_request_goes_by_its_own_name() -> None:
    assert set(REQUESTS) >= {"ListSessions", "KeepSession", "AddLine", "ListCalls"}
