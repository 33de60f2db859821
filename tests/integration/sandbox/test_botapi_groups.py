"""Bots in groups, and messages that were forwarded to them."""

from __future__ import annotations

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.types import Message, MessageOriginHiddenUser, MessageOriginUser
from telethon import TelegramClient
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.phones import Phone


async def new_group(client: TelegramClient, title: str, *names: str) -> types.InputPeerChat:
    """Make a group of oneself and these."""
    users = [await client.get_input_entity(name) for name in names]
    made = await client(functions.messages.CreateChatRequest(users, title))
    return types.InputPeerChat(made.updates.chats[0].id)


async def heard(bot: Bot) -> list[Message]:
    """What it was told since it was asked last."""
    updates = await bot.get_updates()
    if updates:
        await bot.get_updates(offset=updates[-1].update_id + 1)
    return [update.message for update in updates if update.message]


async def test_a_bot_that_is_made_a_member_is_told_of_it(sandbox: Sandbox, ann_phone: Phone, bot: Bot) -> None:
    sandbox.create_bot("other_bot")
    group = await new_group(ann_phone.client, "Friends", "other_bot")
    assert await bot.get_updates() == []
    ours = await ann_phone.client.get_input_entity("our_bot")
    await ann_phone.client(functions.messages.AddChatUserRequest(group.chat_id, ours, 0))
    joined, said = await bot.get_updates()
    assert joined.my_chat_member is not None
    assert (joined.my_chat_member.chat.id, joined.my_chat_member.chat.title) == (-group.chat_id, "Friends")
    assert joined.my_chat_member.new_chat_member.status == "member"
    assert said.message is not None
    assert [user.username for user in said.message.new_chat_members or []] == ["our_bot"]
    with pytest.raises(RPCError, match="already"):
        await ann_phone.client(functions.messages.AddChatUserRequest(group.chat_id, ours, 0))


async def test_in_a_group_a_bot_hears_commands_and_no_more(ann_phone: Phone, ann: User, bot: Bot) -> None:
    group = await new_group(ann_phone.client, "Friends", "our_bot")
    assert (await heard(bot))[0].group_chat_created
    for text in ("hello", "/start", "/start@our_bot", "/start@other_bot", "@our_bot, are you there?"):
        await ann_phone.client.send_message(group, text)
    messages = await heard(bot)
    assert [message.text for message in messages] == ["/start", "/start@our_bot"]
    assert {
        (message.chat.id, message.chat.type, message.from_user and message.from_user.id) for message in messages
    } == {(-group.chat_id, "group", ann.id)}


async def test_a_bot_writes_in_a_group_and_not_to_its_members_or_where_it_is_not(
    sandbox: Sandbox, ann_phone: Phone, ann: User, our_bot: User, bot: Bot
) -> None:
    group = await new_group(ann_phone.client, "Friends", "our_bot")
    sent = await bot.send_message(-group.chat_id, "hello all")
    assert sent.chat.id == -group.chat_id
    [copy] = sandbox.telegram.world.messages("owner = ? AND peer = ? AND NOT outgoing", ann.id, -group.chat_id)
    assert copy.message.message == "hello all"
    assert copy.message.from_id.user_id == our_bot.id
    await ann_phone.client.send_message(group, "/start")
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(ann.id, "I know you from there")
    with pytest.raises(TelegramBadRequest):
        await bot.send_message(-group.chat_id - 1, "hello strangers")


@pytest.mark.parametrize("is_hidden", [False, True])
async def test_a_forwarded_message_tells_who_wrote_it_unless_he_hides(
    sandbox: Sandbox, ann_phone: Phone, ann: User, bob: User, bot: Bot, is_hidden: bool
) -> None:
    sandbox.send_message(bob, ann, "call me")
    if is_hidden:
        sandbox.set_privacy(bob, "Forwards", [("DisallowAll", [])])
    client = ann_phone.client
    [message] = await client.get_messages("bob", limit=1)
    await client.forward_messages("our_bot", message)
    await client.forward_messages("our_bot", await client.send_message("bob", "I do"))
    his, hers = await heard(bot)
    assert (his.text, his.from_user and his.from_user.id) == ("call me", ann.id)
    if is_hidden:
        assert isinstance(his.forward_origin, MessageOriginHiddenUser)
        assert his.forward_origin.sender_user_name == "Bob"
    else:
        assert isinstance(his.forward_origin, MessageOriginUser)
        assert his.forward_origin.sender_user.id == bob.id
    assert isinstance(hers.forward_origin, MessageOriginUser)
    assert hers.forward_origin.sender_user.id == ann.id
