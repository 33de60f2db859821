"""Lines are made, changed and deleted from a phone, and Asterisk has what the bot shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.call.model import Line, LineKind
from gateway.control.door import LineHealth
from gateway.provisioning.ami import AmiError
from gateway.provisioning.grammar import FIELDS, GrammarError
from gateway.sandbox.phone import Phone
from tests.integration.bot.town import OPERATOR, Boss, Town, eventually


async def line_card(boss: Boss, name: str) -> None:
    await boss.chat.send("/lines")
    await boss.go(name)


def line_of(town: Town, boss: Boss) -> Line:
    """His only line."""
    [view] = town.gateway.lines.list(boss.asker)
    return view.line


async def test_a_pbx_registers_with_what_the_bot_displays_and_its_state_is_live(town: Town, boss: Boss) -> None:
    await town.session(boss)
    await boss.chat.send("/lines")
    screen = await boss.go("New line", "PBX → gateway")
    assert "has not registered" in screen.text
    card = await boss.chat.screen()
    await boss.chat.press("Login and password")
    shown = (await boss.chat.see("Type this into the PBX")).text
    host, port = re.findall(r"Server: ([\d.]+):(\d+) \(UDP\)", shown)[0]
    login, password = re.findall(r"Login: (\S+)\nPassword: (\S+)", shown)[0]
    async with Phone(login, password, (host, int(port))) as phone:
        await phone.register()
        await boss.chat.see("🟢 Up")  # on the card, by itself
        assert (await boss.chat.screen()).message.id == card.message.id
    assert (await town.endpoint(line_of(town, boss).id))["password"] == password


async def test_credentials_delete_themselves_unless_they_are_deleted_before(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await line_card(boss, "reception")
    card = await boss.chat.screen()
    for is_pressed in (True, False):
        await boss.chat.press("Login and password", on=card)
        secret = await boss.chat.see("Type this into the PBX")
        assert (await town.endpoint(line))["password"] in secret.text
        assert secret.message.noforwards
        if is_pressed:
            await boss.chat.press("Delete it now")
        await boss.chat.gone(secret)


async def test_a_new_password_counts_at_once(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await line_card(boss, "reception")
    before = (await town.endpoint(line))["password"]
    await boss.go("Login and password")
    await boss.chat.see("Type this into the PBX")
    await boss.go("New password")
    await boss.chat.see("stops working at once")
    await boss.go("Yes, a new password")
    after = (await town.endpoint(line))["password"]
    assert after != before
    await eventually(lambda: any(after in screen.text for screen in boss.chat.screens()))


async def test_one_tap_changes_what_asterisk_runs(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await line_card(boss, "reception")
    await boss.go("Codecs", "1. g722", "opus", "The line")
    assert (await town.endpoint(line))["allow"] == "(alaw|ulaw|opus)"
    screen = await boss.go("DTMF: rfc4733", "info", "1. rfc4733", "The line")
    assert "DTMF: info" in screen.labels
    assert (await town.endpoint(line))["dtmfmode"] == "info"
    screen = await boss.go("Transport: UDP")
    assert "Transport: TCP" in screen.labels
    screen = await boss.go("Transport: TCP")  # this gateway has no TLS: past it, and that is said
    assert "does not offer SIP over TLS" in screen.answer
    assert "Transport: UDP" in screen.labels
    await boss.go("Priority: 10", "50")
    assert line_of(town, boss).priority == 50
    screen = await boss.go("On")
    assert "Switched off" in screen.text
    assert town.gateway.lines.show(OPERATOR, line).state.health is LineHealth.OFF
    with pytest.raises(AmiError):
        await town.endpoint(line)
    await boss.go("⏸ Off")
    assert (await town.endpoint(line))["allow"] == "(alaw|ulaw|opus)"


async def test_a_gateway_that_registers_is_asked_for_address_login_and_password(town: Town, boss: Boss) -> None:
    await town.session(boss)
    await boss.chat.send("/lines")
    await boss.go("New line", "Gateway → PBX")
    assert "An address is a host name" in (await boss.chat.send("no host!")).text
    again = await boss.chat.screen()
    await boss.chat.say("nor this!")
    await boss.chat.gone(again)  # the same sentence once more, in a message of its own: he was heard
    assert "An address is a host name" in (await boss.chat.see("1 of 3")).text
    assert "2 of 3" in (await boss.chat.send("127.0.0.1:5999")).text
    assert "3 of 3" in (await boss.chat.send("100")).text
    assert "A password has" in (await boss.chat.send("pass word")).text
    screen = await boss.chat.send("s3cret-Pass")
    assert "Registering with 127.0.0.1:5999 as 100" in screen.text
    line = line_of(town, boss)
    assert (line.host, line.port, line.login) == ("127.0.0.1", 5999, "100")
    assert (await town.endpoint(line.id))["password"] == "s3cret-Pass"
    assert "s3cret-Pass" not in [one.message async for one in boss.person.client.iter_messages("siptg_bot")]
    assert "•••" in "".join((await boss.chat.screen()).labels)


async def test_a_registration_that_a_pbx_refuses_is_explained_in_words(town: Town, boss: Boss) -> None:
    """Here the PBX is our own Asterisk, and the password is that of nobody."""
    line = await town.line(await town.session(boss))
    port = town.gateway.asterisk.ports.udp
    fields = {"name": "theirs", "host": f"127.0.0.1:{port}", "login": f"line{line}", "password": "wrong"}
    other = await town.line(town.gateway.lines.show(OPERATOR, line).line.account_id, LineKind.WE_REGISTER, fields)
    await line_card(boss, "theirs")
    assert f"127.0.0.1:{port}" in (await boss.chat.see("🔴 Down")).text
    assert "does not accept the login or the password" in (await boss.chat.screen()).text
    assert town.gateway.lines.show(OPERATOR, other).state.health is LineHealth.DOWN


async def test_a_trunk_is_asked_for_its_address(town: Town, boss: Boss) -> None:
    await town.session(boss)
    await boss.chat.send("/lines")
    await boss.go("New line", "IP ⇿ IP")
    await boss.chat.send("127.0.0.77:5070")
    await boss.go("Header")
    assert "X-Line: office" in str(await boss.chat.send("X-Line:office"))
    line = line_of(town, boss)
    assert (line.kind, line.host, line.header) == (LineKind.TRUNK, "127.0.0.77", "X-Line: office")
    screen = await boss.go("Header", "None")
    assert "Header: –" in screen.labels


async def test_a_new_line_can_be_given_up_at_each_question(town: Town, boss: Boss) -> None:
    await town.session(boss)
    for answers in ((), ("127.0.0.1",), ("127.0.0.1", "100")):
        await boss.chat.send("/lines")
        await boss.go("New line", "Gateway → PBX")
        for answer in answers:
            await boss.chat.send(answer)
        assert "No line yet" in (await boss.go("Cancel")).text
        assert "did not ask" in (await boss.chat.send("100")).text
    assert town.gateway.lines.list(boss.asker) == []


async def test_deleting_asks_once(town: Town, boss: Boss) -> None:
    await town.line(await town.session(boss))
    await line_card(boss, "reception")
    screen = await boss.go("Delete")
    assert "Delete the line “reception”?" in screen.text
    await boss.go("The line", "Delete")
    assert town.gateway.lines.list(boss.asker)
    sure = await boss.chat.screen()
    assert "No line yet" in (await boss.go("Yes, delete it")).text
    assert town.gateway.lines.list(boss.asker) == []
    again = await boss.chat.press("Yes, delete it", on=sure)
    assert "not there any more" in again.answer


async def test_number_rules_are_tried_on_texts_before_they_count(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await town.gateway.lines.edit(OPERATOR, line, {"number": "200"})
    await line_card(boss, "reception")
    await boss.go("Number rules", "Try")
    assert "“call me <b>” → 200" in (await boss.chat.send("call me <b>")).text
    await boss.go("Back", "Change")
    assert "no regular expression" in (await boss.chat.send("(((")).text
    screen = await boss.chat.send("\\d\n\\D+=\n^8(?=\\d{10}$)=+7")
    assert "\\D+=" in screen.text
    await boss.go("Try")
    assert "→ +74951234567" in (await boss.chat.send("8 (495) 123-45-67")).text
    assert "does not suit" in (await boss.chat.send("no digits")).text
    await boss.go("Back", "Change")
    await boss.chat.send("(a+)+$")
    await boss.go("Try")
    assert "takes too long" in (await boss.chat.send("a" * 4000 + "!")).text
    assert "(no rules" in (await boss.go("Back", "No rules")).text
    assert ".*=" in (await boss.go("↩️ .*=")).text


async def test_calls_are_routed_by_a_recipe_that_is_shown_before_it_is_applied(town: Town, boss: Boss) -> None:
    line = await town.line(await town.session(boss))
    await line_card(boss, "reception")
    await boss.go("Routing", "By the hours")
    assert "Opening hours are" in (await boss.chat.send("always; System(reboot)")).text
    await boss.chat.send("9:00-18:00")
    await boss.chat.send("mon-fri")
    await boss.go("Leave empty")
    await boss.chat.send("200")
    screen = await boss.go("Leave empty")
    assert "GotoIfTime(09:00-18:00,mon-fri,*,*?open)" in screen.text
    assert town.gateway.use_cases.routings.show(OPERATOR, line).recipe is None
    await boss.go("Apply")
    assert "GotoIfTime(09:00-18:00,mon-fri,*,*?open)" in await town.dialplan(f"siptg-route-line{line}")
    screen = await boss.go("Straight to the number")
    assert "go straight" in screen.text
    assert town.gateway.use_cases.routings.show(OPERATOR, line).recipe is None


@pytest.mark.parametrize("field", sorted({*FIELDS} - {"enabled", "port", "srtp", "transport", "codecs", "dtmf"}))
async def test_whatever_is_typed_is_taken_by_its_grammar_or_refused_with_an_example(
    town: Town, boss: Boss, field: str
) -> None:
    """Hypothesis writes, the grammar says what must come of it, and Asterisk still runs a line afterwards."""
    session = await town.session(boss)
    needed = {"host": "127.0.0.1", "login": "100", "password": "secret"}
    kinds = {
        **dict.fromkeys(("login", "password", "host", "proxy"), (LineKind.WE_REGISTER, needed)),
        "header": (LineKind.TRUNK, {"host": "127.0.0.9"}),
    }
    kind, fields = kinds.get(field, (LineKind.PBX_REGISTERS, {}))
    line_id = await town.line(session, kind, {"name": "one", **fields})
    await boss.chat.send("/lines")
    texts = _written(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), 3)
    texts += ["[x]\ntype=endpoint", "a;${SHELL(id)}", "<b>&amp;", "\u202e123", "{phone}\r\nX: 1"]
    for text in texts:
        sent = text.strip()  # so do Telegram's apps
        if not sent or sent.startswith("/"):
            continue
        await boss.chat.forge(f"la:{line_id}:{field}".encode())
        before = getattr(town.gateway.lines.show(OPERATOR, line_id).line, field)
        await boss.chat.say(sent)
        try:
            wanted = FIELDS[field](sent)
        except GrammarError:
            await boss.chat.see("⚠️")
            assert getattr(town.gateway.lines.show(OPERATOR, line_id).line, field) == before
        else:
            await boss.chat.see("Saved")
            if field not in ("password", "host", "proxy"):
                assert getattr(town.gateway.lines.show(OPERATOR, line_id).line, field) == wanted
    assert (await town.endpoint(line_id))["objectname"] == f"line{line_id}"


def _written(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    """What hypothesis would write."""
    texts: list[str] = []

    @settings(max_examples=count, database=None, suppress_health_check=[*HealthCheck])
    @given(strategy)
    def write(text: str) -> None:
        texts.append(text)

    write()
    return texts
