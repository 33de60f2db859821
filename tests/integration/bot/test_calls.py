"""What calls there were, and why they ended, is told in words; never of another's calls."""

from __future__ import annotations

import datetime as dt
import secrets

from gateway.bot.data import CallTo
from gateway.call.model import CallRecord, CallState, Direction
from gateway.demo.world import phone_on
from gateway.errors import Ending, HangupCause
from gateway.media.model import AudioFormat, DirectionCounters, MediaReport
from tests.integration.bot.town import OPERATOR, Boss, Town, eventually
from tests.user_app import emoji_of


async def kept(
    town: Town,
    session: int,
    line: int | None,
    cause: HangupCause,
    minutes_ago: int,
    media: MediaReport | None = None,
    **changes: str,
) -> str:
    """A call's record, as the switchboard leaves it; answers its id."""
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes_ago)
    is_answered = cause is HangupCause.NORMAL
    record = CallRecord(
        call_id=secrets.token_hex(8),
        direction=Direction.SIP_TO_TELEGRAM,
        account_id=session,
        line_id=line,
        caller=changes.get("caller", "200"),
        dialled="+4915112345",
        offered_at=began,
        answered_at=began + dt.timedelta(seconds=5) if is_answered else None,
        ended_at=began + dt.timedelta(seconds=70),
        state=CallState.UP if is_answered else CallState.ALERTING,
        ending=Ending(cause, changes.get("detail", "")),
        format=AudioFormat.G722 if is_answered else None,
        media=media or MediaReport(),
    )
    await town.gateway.store.records.write(record)
    return record.call_id


async def test_calls_are_listed_and_each_says_why_it_ended(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    line = await town.line(session)
    await kept(town, session, line, HangupCause.NORMAL, 3)
    await kept(town, session, line, HangupCause.PRIVACY, 2, detail="USER_PRIVACY_RESTRICTED <x>", caller="<b>")
    await kept(town, session, line, HangupCause.BUSY, 1, caller="300")
    screen = await boss.chat.send("/calls")
    assert [label[:1] for label in screen.labels[:3]] == ["⚠", "⚠", "✅"]
    screen = await boss.go("✅")
    assert "talked 1:05" in screen.text
    assert "Line: reception" in screen.text
    assert "g722" in screen.text
    screen = await boss.go("Calls", "<b>")
    assert "privacy settings" in screen.text
    assert "USER_PRIVACY_RESTRICTED <x>" in screen.text
    assert "Busy." in (await boss.chat.send("/why")).text


async def test_why_tells_what_came_from_each_end_and_what_to_look_at(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    one_way = MediaReport(
        to_telegram=DirectionCounters(packets=0),
        to_sip=DirectionCounters(packets=1000, first_ms=84, lost=7, concealed_ms=140),
        engine="tgcall",
        version="13.0.0",
        path="relay",
        rtt_ms=71.6,
        jitter_ms=3.2,
        loss_sent=0.044,
    )
    await kept(town, session, None, HangupCause.NORMAL, 1, one_way)
    await boss.chat.send("/calls")
    text = (await boss.go("✅")).text
    assert "g722, to the user over a relay (tgcall 13.0.0)" in text
    assert "From the PBX: no packet" in text
    assert "From the user: 1,000 packets, the first after 84 ms, 7 lost, 140 ms made up" in text
    assert "To the user and back 72 ms, jitter 3 ms, 4.4 % lost on the way to him" in text
    assert "⚠️ The PBX sent no audio" in text
    assert "⚠️ Much of what was said to the user never reached his app" in text
    assert "⚠️ The user's app sent no audio" not in text
    await kept(town, session, None, HangupCause.MEDIA_LOST, 0, MediaReport(engine="ntgcalls", spare_for="media_lost"))
    text = (await boss.chat.send("/why")).text
    assert "(ntgcalls)" in text
    assert "other engine carried it" in text
    assert "⚠️ The PBX sent no audio" not in text  # nobody had answered yet


async def test_many_calls_come_in_pages(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    for number in range(20):
        await kept(town, session, None, HangupCause.NORMAL, number, caller=f"10{number:02}")
    screen = await boss.chat.send("/calls")
    assert "1000" in screen.labels[0]
    screen = await boss.go("▶️")
    assert "1008" in screen.labels[0]
    screen = await boss.go("▶️")
    assert "1019" in screen.labels[3]
    assert "▶️" not in screen.labels
    assert "1008" in (await boss.go("◀️")).labels[0]


async def test_calls_of_others_are_not_there(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    call = await kept(town, session, None, HangupCause.BUSY, 1, caller="topsecret")
    async with town.boss() as other:
        await town.session(other)
        assert "topsecret" not in str(await other.chat.send("/calls"))
        assert "No call has failed" in (await other.chat.send("/why")).text
        answer = await other.chat.forge(CallTo(id=call).pack().encode())
        assert "not there any more" in answer.answer


async def test_a_call_that_is_up_shows_its_key_to_be_compared(town: Town, boss: Boss) -> None:
    session = await town.session(boss)
    line_id = await town.line(session)
    line = next(view.line for view in town.gateway.lines.list(OPERATOR) if view.line.id == line_id)
    assert "🔐" not in (await boss.chat.send("/calls")).text
    robot = await town.sandbox.robots.add(town.somebody("Ann"))
    try:
        async with phone_on(town.gateway, line) as phone:
            call = phone.call(f"+{robot.user.phone}")
            await call.answered()
            report = await robot.wait("connected")
            await eventually(lambda: [one.state for one in town.gateway.board.calls.values()] == [CallState.UP])
            screen = await boss.chat.send("/calls")
            assert "One call now" in screen.text
            assert "– up" in screen.text
            assert f"🔐 {emoji_of(report)}" in screen.text
            assert "nobody sits between" in screen.text
            await call.hang_up()
            await robot.wait("ended")
    finally:
        await robot.remove()
    await eventually(lambda: not town.gateway.board.calls)
    assert "🔐" not in (await boss.chat.send("/calls")).text
