from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
from pathlib import Path

import pytest

from gateway.call.model import DtmfMethod, Line, Transport
from gateway.provisioning import config
from gateway.provisioning.ami import connected
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.render import render
from gateway.provisioning.state import LineHealth, LineState
from gateway.sip.embedded import Asterisk
from tests.integration.provisioning.conftest import OpenClient, reached, running_asterisk, sip_port
from tests.unit.provisioning.lines import our_line, pbx_line, trunk

# A line's id is its own for ever; so each test takes others, and finds no registration of an earlier one.
pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_three_kinds_are_created_and_read_back(asterisk: Asterisk, provisioner: Provisioner) -> None:
    lines = [
        pbx_line(11, trusted=("127.0.0.0/8", "2001:db8::/32"), dtmf=(DtmfMethod.RFC4733, DtmfMethod.INFO)),
        our_line(
            2, 5999, proxy="127.0.0.9:5998", dtmf=(DtmfMethod.RFC4733, DtmfMethod.INBAND), codecs=("alaw", "opus")
        ),
        trunk(13, 5997, transport=Transport.TCP, dtmf=(DtmfMethod.INFO,), codecs=("gsm",)),
        trunk(14, 5997, header="X-Line: b", dtmf=(DtmfMethod.INBAND,)),
    ]
    assert await provisioner.apply(lines) == {}
    await reached(provisioner, 11, LineHealth.DOWN)
    assert await provisioner.apply(lines) == {}
    async with connected(asterisk.ami, lambda event: None) as ami:
        assert await config.read(ami) == {line.id: render(line) for line in lines}
    assert await provisioner.apply([]) == {}
    async with connected(asterisk.ami, lambda event: None) as ami:
        assert await config.read(ami) == {}


async def test_a_pbx_registers_with_the_shown_login_and_with_no_other_password(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    await provisioner.apply([pbx_line(21)])
    assert "has not registered as line21" in await reached(provisioner, 21, LineHealth.DOWN)
    client = await open_client()
    assert await client.register("line21", "Wrong-1") == 401
    assert await client.register("line22", "Right-1") == 401
    assert "from 127.0.0.1 " in await reached(provisioner, 21, LineHealth.DOWN, "the password is wrong")
    assert await client.register("line21", "Right-1") == 200
    assert f"registered from 127.0.0.1:{client.port}" in await reached(provisioner, 21, LineHealth.UP)


async def test_a_pbx_at_an_address_that_is_not_trusted_is_refused(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    await provisioner.apply([pbx_line(31, trusted=("127.0.0.2",))])
    await reached(provisioner, 31, LineHealth.DOWN)
    stranger = await open_client("127.0.0.1")
    assert await stranger.register("line31", "Right-1") == 401
    await reached(provisioner, 31, LineHealth.DOWN, "not one of the trusted addresses")
    friend = await open_client("127.0.0.2")
    assert await friend.register("line31", "Right-1") == 200


async def test_a_changed_password_counts_at_once(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    await provisioner.apply([pbx_line(41)])
    await reached(provisioner, 41, LineHealth.DOWN)
    await provisioner.apply([pbx_line(41, password="Another-2")])
    client = await open_client()
    assert await client.register("line41", "Right-1") == 401
    assert await client.register("line41", "Another-2") == 200


async def test_we_register_with_another_pbx_and_its_refusal_is_told_in_words(
    asterisk: Asterisk, provisioner: Provisioner, tmp_path: Path
) -> None:
    async with (
        running_asterisk(tmp_path / "pbx") as pbx,
        Provisioner(lambda: pbx.ami) as pbx_lines,
    ):
        await pbx_lines.apply([pbx_line(100)])
        await reached(pbx_lines, 100, LineHealth.DOWN)
        ours = our_line(51, sip_port(pbx), login="line100", password="Wrong-1")
        await provisioner.apply([ours])
        told = await reached(provisioner, 51, LineHealth.DOWN)
        assert told.startswith(f"127.0.0.1:{ours.port} answers the registration with SIP 401: it does not accept")
        await provisioner.apply([dataclasses.replace(ours, password="Right-1")])
        assert "Registered with" in await reached(provisioner, 51, LineHealth.UP)
        await reached(pbx_lines, 100, LineHealth.UP)


async def test_a_registration_outlives_edits_that_are_not_about_it_and_ends_with_its_line(
    asterisk: Asterisk, provisioner: Provisioner, tmp_path: Path
) -> None:
    async with (
        running_asterisk(tmp_path / "pbx") as pbx,
        Provisioner(lambda: pbx.ami) as pbx_lines,
    ):
        await pbx_lines.apply([pbx_line(100)])
        ours = our_line(52, sip_port(pbx), login="line100", password="Right-1")
        told: list[LineState] = []
        pbx_lines.watch(lambda line_id, state: told.append(state))
        for gone in ([dataclasses.replace(ours, enabled=False)], []):
            await provisioner.apply([ours])
            await reached(provisioner, 52, LineHealth.UP)
            await reached(pbx_lines, 100, LineHealth.UP)
            told.clear()
            await provisioner.apply([dataclasses.replace(ours, codecs=("alaw",))])
            await asyncio.sleep(1.5)  # to register again, Asterisk lets a second pass
            assert all(state.health is LineHealth.UP for state in told)
            await provisioner.apply(gone)
            await reached(pbx_lines, 100, LineHealth.DOWN)


async def test_a_trunk_is_known_by_its_address_and_its_state_by_its_answers(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    pbx = await open_client()
    silent = await open_client("127.0.0.3", answer_options=False)
    await provisioner.apply([trunk(61, pbx.port), trunk(62, silent.port, host="127.0.0.3")])
    assert f"answers at 127.0.0.1:{pbx.port}" in await reached(provisioner, 61, LineHealth.UP)
    assert "does not answer at 127.0.0.3" in await reached(provisioner, 62, LineHealth.DOWN)
    assert await pbx.invite() == 200


async def test_a_call_from_next_to_a_trunk_is_refused_and_that_is_said(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    pbx = await open_client("127.0.0.1")
    far = trunk(64, 5999, host="127.0.9.1")
    lines = [pbx_line(63), trunk(65, 5999, host="127.0.0.77"), far, trunk(66, 5999, host="127.0.0.78", header="X-L: a")]
    lines.append(trunk(67, pbx.port, host="127.0.0.1", header="X-L: b"))
    await provisioner.apply(lines)
    await reached(provisioner, 63, LineHealth.DOWN)
    assert await pbx.register("line63", "Right-1") == 200  # whoever has a login is no stranger
    await asyncio.sleep(2.2)
    assert [state.warning for state in provisioner.states.values()] == [""] * 5
    assert await pbx.invite() == 401
    assert await pbx.invite("600", "1", None, "X-L: a") == 401
    await reached(provisioner, 65, LineHealth.DOWN, "does not answer")
    async with asyncio.timeout(5):
        while not provisioner.states[65].warning:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.05)
    assert provisioner.states[65].warning.startswith("A call from 127.0.0.1 was refused: it is not one")
    assert provisioner.states[66].warning.startswith("A call from 127.0.0.1 was refused: it is not one")
    assert provisioner.states[64].warning == ""
    assert provisioner.states[67].warning.endswith("it does not have the header “X-L: b”.")
    await provisioner.apply(
        [dataclasses.replace(one, trusted=("127.0.0.1",)) if one.id == 65 else one for one in lines]
    )
    assert provisioner.states[65].warning == ""
    assert await pbx.invite() == 200


async def test_trunks_of_one_host_are_told_apart_by_their_header(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    pbx = await open_client("127.0.0.1")
    stranger = await open_client("127.0.0.9")
    await provisioner.apply(
        [trunk(71, pbx.port, header="X-Line: a"), trunk(72, pbx.port, header="X-Line: b", codecs=("gsm",))]
    )
    await reached(provisioner, 71, LineHealth.UP)
    assert await pbx.invite("600", "1", None, "X-Line: a") == 200
    assert await pbx.invite("600", "1", None, "X-Line: b") == 488  # this one takes gsm alone
    assert await pbx.invite() == 401
    assert await stranger.invite("600", "1", None, "X-Line: a") == 401


async def test_nobody_is_taken_for_a_line_by_claiming_its_name(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    await provisioner.apply([trunk(81, 5999, host="127.0.0.5"), our_line(82, 5998), pbx_line(83)])
    await reached(provisioner, 83, LineHealth.DOWN)
    stranger = await open_client("127.0.0.9")
    for name in ("line81", "line82", "line83", "line84"):
        assert await stranger.invite("600", name, "guess") == 401


async def test_an_edit_and_a_deletion_leave_running_calls_up(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    pbx = await open_client()
    line = trunk(97, pbx.port)
    await provisioner.apply([line])
    await reached(provisioner, 97, LineHealth.UP)
    assert await pbx.invite() == 200

    async def channels() -> int:
        async with connected(asterisk.ami, lambda event: None) as ami:
            answers = await ami.act("CoreShowChannels")
        return sum(answer.get("channel", "").startswith("PJSIP/line97-") for answer in answers)

    assert await channels() == 1
    await provisioner.apply([dataclasses.replace(line, codecs=("gsm",), password=""), pbx_line(92)])
    assert await channels() == 1
    await provisioner.apply([])
    assert await channels() == 1


async def test_what_asterisk_refuses_is_undone_and_the_rest_applied(
    asterisk: Asterisk, provisioner: Provisioner
) -> None:
    good = trunk(101, 5999)
    assert await provisioner.apply([good]) == {}
    await reached(provisioner, 101, LineHealth.DOWN)
    bad = dataclasses.replace(good, host="no-such-host.invalid")
    refused = await provisioner.apply([bad, pbx_line(102)])
    assert refused == {101: "Asterisk can't find the address of no-such-host.invalid."}
    assert provisioner.states[101].health is LineHealth.REFUSED
    assert provisioner.states[102].health is LineHealth.DOWN
    async with connected(asterisk.ami, lambda event: None) as ami:
        assert await config.read(ami) == {101: render(good), 102: render(pbx_line(102))}
        assert any(
            "127.0.0.1:5999" in one.get("contacts", "")
            for one in await ami.act("PJSIPShowEndpoint", Endpoint="line101")
        )
    assert await provisioner.apply([good]) == {}


async def test_a_transport_that_is_not_offered_is_refused(asterisk: Asterisk, provisioner: Provisioner) -> None:
    refused = await applied(provisioner, [trunk(111, 5999, transport=Transport.TLS, srtp=True)])
    assert refused == {111: "This gateway's Asterisk has no transport-tls: it does not offer tls."}


async def applied(provisioner: Provisioner, lines: list[Line]) -> object:
    """Apply once Asterisk is reached."""
    await provisioner.apply([pbx_line(99)])
    await reached(provisioner, 99, LineHealth.DOWN)
    return await provisioner.apply(lines)


async def test_lines_that_asterisk_still_runs_are_left_alone_by_a_gateway_that_starts(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    await provisioner.apply([pbx_line(131)])
    await reached(provisioner, 131, LineHealth.DOWN)
    client = await open_client()
    assert await client.register("line131", "Right-1") == 200
    async with Provisioner(lambda: asterisk.ami) as started:
        await asyncio.sleep(0.3)  # time enough to do harm
        async with connected(asterisk.ami, lambda event: None) as ami:
            assert (await config.read(ami)).keys() == {131}
        await started.apply([pbx_line(131)])
        assert f"127.0.0.1:{client.port}" in await reached(started, 131, LineHealth.UP)


async def test_lines_are_applied_again_after_asterisk_died(
    asterisk: Asterisk, provisioner: Provisioner, open_client: OpenClient
) -> None:
    await provisioner.apply([pbx_line(121)])
    await reached(provisioner, 121, LineHealth.DOWN)
    for file in asterisk.config_dir.glob("siptg_lines*.conf"):
        file.unlink()
    assert asterisk.pid is not None
    os.kill(asterisk.pid, signal.SIGKILL)
    assert "Asterisk is not reached" in await reached(provisioner, 121, LineHealth.WAITING)
    assert await provisioner.apply([pbx_line(121), pbx_line(122)]) == {}
    await reached(provisioner, 122, LineHealth.DOWN)
    client = await open_client()
    assert await client.register("line122", "Right-1") == 200
