from __future__ import annotations

import pytest

from gateway.call.model import LineKind, Transport
from gateway.control.door import LineHealth
from gateway.errors import GatewayError
from gateway.provisioning.grammar import GrammarError
from tests.integration.control.conftest import CAROL, OPERATOR, House, make_house

PBX, OURS, TRUNK = LineKind.PBX_REGISTERS, LineKind.WE_REGISTER, LineKind.TRUNK


async def test_a_line_whose_pbx_registers_gets_login_and_password_and_tells_where_to_type_them(house: House) -> None:
    account = await house.session()
    view = await house.lines.add(OPERATOR, account, PBX, {"name": "Office", "transport": "tcp"})
    shown = house.lines.credentials(OPERATOR, view.line.id)
    assert shown.login == view.line.login == view.line.endpoint
    assert (shown.host, shown.port, shown.transport) == ("gateway.example.com", 5060, Transport.TCP)
    assert len(shown.password) == 24
    assert shown.password not in repr(shown) + repr(view)
    assert view.line.password == ""
    assert [line.password for line in await house.store.lines.all()] == [shown.password]


async def test_texts_become_values_and_a_host_may_bring_its_port(house: House) -> None:
    account = await house.session()
    texts = {"name": "Provider", "host": "PBX.example.com:5070", "login": "100", "password": "x", "codecs": "alaw,ulaw"}
    line = (await house.lines.add(OPERATOR, account, OURS, texts)).line
    assert (line.host, line.port, line.codecs) == ("pbx.example.com", 5070, ("alaw", "ulaw"))
    line = (
        await house.lines.edit(OPERATOR, line.id, {"host": "pbx.example.org", "priority": "5", "enabled": "off"})
    ).line
    assert (line.host, line.port, line.priority, line.enabled) == ("pbx.example.org", None, 5, False)
    line = (await house.lines.edit(OPERATOR, line.id, {"port": "5080"})).line
    assert line.port == 5080
    assert (await house.lines.edit(OPERATOR, line.id, {"port": ""})).line.port is None


async def test_an_edit_is_taken_whole_or_not_at_all(house: House) -> None:
    account = await house.session()
    before = (await house.lines.add(OPERATOR, account, TRUNK, {"host": "10.0.0.1"})).line
    with pytest.raises(GrammarError, match=r"^codecs: "):
        await house.lines.edit(OPERATOR, before.id, {"name": "New", "codecs": "g729"})
    assert house.lines.show(OPERATOR, before.id).line == before
    assert (await house.store.lines.all())[0].name == before.name


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        (PBX, {"id": "1"}, "no field “id”"),
        (PBX, {"account_id": "1"}, "no field “account_id”"),
        (PBX, {"login": "admin"}, "no field “login”"),
        (PBX, {"host": "10.0.0.1"}, "^host: .* has none"),
        (OURS, {"login": "100", "password": "x"}, "^host: .* needs one"),
        (TRUNK, {}, "^host: .* needs one"),
        (TRUNK, {"host": "10.0.0.1", "transport": "tls"}, "does not offer SIP over TLS"),
    ],
)
async def test_what_a_line_can_not_be_is_refused_and_not_stored(
    house: House, kind: LineKind, fields: dict[str, str], sentence: str
) -> None:
    account = await house.session()
    with pytest.raises(GatewayError, match=sentence):
        await house.lines.add(OPERATOR, account, kind, fields)
    assert await house.store.lines.all() == []


async def test_a_trunk_that_could_be_taken_for_anothers_is_refused_without_naming_it(house: House) -> None:
    mine, other = await house.session(), await house.session(CAROL)
    await house.lines.add(OPERATOR, other, TRUNK, {"host": "10.0.0.1", "name": "Secret"})
    with pytest.raises(GatewayError, match="header of its own") as refused:
        await house.lines.add(OPERATOR, mine, TRUNK, {"host": "10.0.0.1"})
    assert "Secret" not in str(refused.value)
    line = (await house.lines.add(OPERATOR, mine, TRUNK, {"host": "10.0.0.1", "header": "X-Line:b"})).line
    with pytest.raises(GatewayError, match="header of its own"):
        await house.lines.edit(OPERATOR, line.id, {"header": ""})


async def test_a_new_password_takes_the_place_of_the_old_one(house: House) -> None:
    account = await house.session()
    line = (await house.lines.add(OPERATOR, account, PBX, {})).line
    old = house.lines.credentials(OPERATOR, line.id).password
    assert (await house.lines.reset_password(OPERATOR, line.id)).password not in ("", old)
    trunk = (await house.lines.add(OPERATOR, account, TRUNK, {"host": "10.0.0.1"})).line
    with pytest.raises(GatewayError, match="does not register with us"):
        await house.lines.reset_password(OPERATOR, trunk.id)


async def test_routing_finds_lines_as_they_are_after_every_change_and_a_restart(house: House) -> None:
    account = await house.session()
    late = (await house.lines.add(OPERATOR, account, PBX, {"priority": "20"})).line
    first = (await house.lines.add(OPERATOR, account, PBX, {"priority": "1"})).line
    off = (await house.lines.add(OPERATOR, account, PBX, {"enabled": "no"})).line
    for roster in (house.roster, (await make_house(house.store)).roster):
        assert [line.id for line in roster.lines_of(account)] == [first.id, late.id]
        found = roster.line(off.endpoint)
        assert found is not None
        assert not found.enabled
        assert roster.line("line99") is None
        assert roster.account(99) is None
    await house.lines.delete(OPERATOR, first.id)
    assert [line.id for line in house.roster.lines_of(account)] == [late.id]
    assert house.roster.line(first.endpoint) is None


async def test_an_account_has_a_limited_number_of_lines(house: House) -> None:
    account = await house.session()
    for _ in range(50):
        await house.lines.add(OPERATOR, account, PBX, {})
    with pytest.raises(GatewayError, match="at most 50 lines"):
        await house.lines.add(OPERATOR, account, PBX, {})


async def test_without_a_gateway_a_line_waits_for_its_start(house: House) -> None:
    account = await house.session()
    view = await house.lines.add(OPERATOR, account, PBX, {})
    assert view.state.health is LineHealth.WAITING
    assert "not running" in view.state.detail
