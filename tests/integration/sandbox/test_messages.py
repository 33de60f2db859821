from __future__ import annotations

import asyncio

import pytest
from telethon import errors, events
from telethon.tl import functions, types

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.phones import Phone, online


async def test_a_message_arrives(ann: User, ann_phone: Phone, bob: User, bob_phone: Phone) -> None:
    sent = await ann_phone.client.send_message("bob", "hello **there**")
    assert sent.out
    came = (await bob_phone.next(types.UpdateNewMessage)).message
    assert (came.message, came.out, came.peer_id.user_id) == ("hello there", False, ann.id)
    assert isinstance(came.entities[0], types.MessageEntityBold)


async def test_both_see_the_conversation(ann: User, ann_phone: Phone, bob_phone: Phone) -> None:
    await ann_phone.client.send_message("bob", "one")
    await bob_phone.next(types.UpdateNewMessage)
    await bob_phone.client.send_message(ann.id, "two")
    await ann_phone.next(types.UpdateNewMessage)
    for phone, peer in ((ann_phone, "bob"), (bob_phone, ann.id)):
        assert [message.message async for message in phone.client.iter_messages(peer)] == ["two", "one"]
    dialogs = await bob_phone.client.get_dialogs()
    assert [(dialog.name, dialog.unread_count, dialog.message.message) for dialog in dialogs] == [("Ann", 1, "two")]


@pytest.mark.usefixtures("bob_phone")
async def test_history_comes_in_pages(ann_phone: Phone) -> None:
    for number in range(7):
        await ann_phone.client.send_message("bob", str(number))
    page = await ann_phone.client.get_messages("bob", limit=3)
    assert [message.message for message in page] == ["6", "5", "4"]
    assert page.total == 7
    older = await ann_phone.client.get_messages("bob", limit=3, offset_id=page[-1].id)
    assert [message.message for message in older] == ["3", "2", "1"]
    first = await ann_phone.client.get_messages("bob", limit=2, reverse=True)
    assert [message.message for message in first] == ["0", "1"]


async def test_a_message_is_deleted_for_both(ann_phone: Phone, bob_phone: Phone) -> None:
    sent = await ann_phone.client.send_message("bob", "oops")
    came = (await bob_phone.next(types.UpdateNewMessage)).message
    await ann_phone.client.delete_messages("bob", [sent.id], revoke=True)
    assert (await bob_phone.next(types.UpdateDeleteMessages)).messages == [came.id]
    assert [message async for message in bob_phone.client.iter_messages("me")] == []
    assert await ann_phone.client.get_messages("bob") == []


async def test_a_message_is_edited_for_both(ann_phone: Phone, bob_phone: Phone) -> None:
    sent = await ann_phone.client.send_message("bob", "teh")
    await ann_phone.client.edit_message("bob", sent.id, "the")
    assert (await bob_phone.next(types.UpdateEditMessage)).message.message == "the"


async def test_reading_is_told_to_the_writer(ann: User, ann_phone: Phone, bob_phone: Phone) -> None:
    sent = await ann_phone.client.send_message("bob", "read me")
    await bob_phone.next(types.UpdateNewMessage)
    await bob_phone.client.send_read_acknowledge(ann.id)
    assert (await ann_phone.next(types.UpdateReadHistoryOutbox)).max_id == sent.id
    assert (await bob_phone.client.get_dialogs())[0].unread_count == 0


async def test_typing_is_seen(ann: User, ann_phone: Phone, bob_phone: Phone) -> None:
    await ann_phone.client(
        functions.messages.SetTypingRequest(
            await ann_phone.client.get_input_entity("bob"), types.SendMessageTypingAction()
        )
    )
    assert (await bob_phone.next(types.UpdateUserTyping)).user_id == ann.id


async def test_a_message_to_oneself_is_kept_once(ann_phone: Phone) -> None:
    await ann_phone.client.send_message("me", "note")
    assert [message.message async for message in ann_phone.client.iter_messages("me")] == ["note"]


async def test_who_is_blocked_can_not_write(sandbox: Sandbox, ann: User, ann_phone: Phone, bob: User) -> None:
    sandbox.block(bob, ann)
    with pytest.raises(errors.UserIsBlockedError):
        await ann_phone.client.send_message("bob", "hello")


async def test_another_device_of_the_writer_learns_of_it(
    sandbox: Sandbox, ann: User, ann_phone: Phone, bob: User
) -> None:
    async with online(sandbox, ann) as tablet:
        await ann_phone.client.send_message("bob", "from my phone")
        seen = (await tablet.next(types.UpdateNewMessage)).message
        assert (seen.message, seen.out, seen.peer_id.user_id) == ("from my phone", True, bob.id)


async def test_what_was_missed_is_caught_up_after_a_drop(
    sandbox: Sandbox, ann: User, ann_phone: Phone, bob: User, bob_phone: Phone
) -> None:
    await bob_phone.client.get_dialogs()
    sandbox.drop_connections(bob)
    for number in range(3):
        sandbox.send_message(ann, bob, str(number))
    await bob_phone.client.get_me()  # connected again
    await bob_phone.client.catch_up()
    texts = [(await bob_phone.next(types.UpdateNewMessage)).message.message for _ in range(3)]
    assert texts == ["0", "1", "2"]


async def test_what_came_while_off_is_caught_up_at_the_start(sandbox: Sandbox, ann: User, bob: User) -> None:
    session = sandbox.session(bob)
    client = sandbox.client(session=session)
    await client.connect()
    await client.get_dialogs()
    kept = client.session
    await client.disconnect()
    sandbox.send_message(ann, bob, "while you were out")
    sandbox.send_message(ann, bob, "and again")
    again = sandbox.client(session=session, catch_up=True)
    for _, state in kept.get_update_states():
        again.session.set_update_state(0, state)
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(event: events.NewMessage.Event) -> None:
        heard.put_nowait(event.raw_text)

    again.add_event_handler(hear, events.NewMessage(incoming=True))
    await again.connect()
    async with asyncio.timeout(5):
        assert {await heard.get(), await heard.get()} == {"while you were out", "and again"}
    await again.disconnect()
