"""What a bot says of itself, and how it hears. Source: https://core.telegram.org/bots/api#getme, …#setmycommands."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.sandbox.botapi.call import Call, api
from gateway.sandbox.botapi.queue import MAX_UPDATES
from gateway.sandbox.botapi.refusal import ApiError, bad
from gateway.sandbox.botapi.shown import JSON
from gateway.sandbox.rpcerror import RpcError

#: Source: https://core.telegram.org/bots/api#botcommand.
COMMAND: Final = re.compile(r"[a-z0-9_]{1,32}")
MAX_COMMANDS: Final = 100
MAX_DESCRIPTION: Final = 256
#: By the names of the methods' argument and of the answer's field. Source: …#setmyname, …#setmydescription.
TEXTS: Final = {"name": 64, "description": 512, "short_description": 120}


@api("getMe")
def get_me(call: Call) -> JSON:
    return call.shown.user(call.bot.id) | {
        "can_join_groups": False,
        "can_read_all_group_messages": False,
        "supports_inline_queries": call.profile.inline,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


@api("logOut", "close")
def leave(_call: Call) -> bool:
    return True


# Commands


def _scope(call: Call) -> str:
    scope = call.json("scope") or {"type": "default"}
    where = " ".join(str(scope[name]) for name in ("type", "chat_id", "user_id") if name in scope)
    return f"{where} {call.text('language_code')}".rstrip()


@api("setMyCommands")
def set_my_commands(call: Call) -> bool:
    commands = call.json("commands", [])
    if len(commands) > MAX_COMMANDS:
        raise RpcError(400, "BOT_COMMANDS_TOO_MUCH")
    made = [{"command": given["command"].removeprefix("/"), "description": given["description"]} for given in commands]
    for command in made:
        if not COMMAND.fullmatch(command["command"]):
            raise RpcError(400, "BOT_COMMAND_INVALID")
        if not 0 < len(command["description"]) <= MAX_DESCRIPTION:
            raise RpcError(400, "BOT_COMMAND_DESCRIPTION_INVALID")
    call.change_profile(commands=call.profile.commands | {_scope(call): made})
    return True


@api("getMyCommands")
def get_my_commands(call: Call) -> list[JSON]:
    return call.profile.commands.get(_scope(call), [])


@api("deleteMyCommands")
def delete_my_commands(call: Call) -> bool:
    scope = _scope(call)
    call.change_profile(commands={name: kept for name, kept in call.profile.commands.items() if name != scope})
    return True


# Texts and the menu button


def _set_text(name: str, call: Call) -> bool:
    text = call.text(name)
    if len(text) > TEXTS[name]:
        raise bad(f"{name} is too long")
    texts = call.profile.texts
    call.change_profile(texts=texts | {name: texts.get(name, {}) | {call.text("language_code"): text}})
    return True


def _get_text(name: str, call: Call) -> JSON:
    unset = call.bot.first_name if name == "name" else ""
    return {name: call.profile.text(name, call.text("language_code")) or unset}


@api("setMyName")
def set_my_name(call: Call) -> bool:
    return _set_text("name", call)


@api("setMyDescription")
def set_my_description(call: Call) -> bool:
    return _set_text("description", call)


@api("setMyShortDescription")
def set_my_short_description(call: Call) -> bool:
    return _set_text("short_description", call)


@api("getMyName")
def get_my_name(call: Call) -> JSON:
    return _get_text("name", call)


@api("getMyDescription")
def get_my_description(call: Call) -> JSON:
    return _get_text("description", call)


@api("getMyShortDescription")
def get_my_short_description(call: Call) -> JSON:
    return _get_text("short_description", call)


@api("setChatMenuButton")
def set_chat_menu_button(call: Call) -> bool:
    button = call.json("menu_button") or {"type": "default"}
    if button.get("type") not in ("default", "commands", "web_app"):
        raise bad("can't parse menu button: unsupported type specified")
    chat = call.chat().id if call.text("chat_id") else 0
    call.change_profile(menu_button=call.profile.menu_button | {chat: button})
    return True


@api("getChatMenuButton")
def get_chat_menu_button(call: Call) -> JSON:
    buttons: dict[int, dict[str, Any]] = call.profile.menu_button
    chat = call.chat().id if call.text("chat_id") else 0
    return buttons.get(chat) or buttons.get(0) or {"type": "commands"}


# How it hears


@api("getUpdates")
async def get_updates(call: Call) -> list[JSON]:
    if call.text("allowed_updates"):
        call.change_profile(allowed_updates=call.json("allowed_updates") or None)
    return await call.queue.poll(
        call.bot.id,
        offset=call.number("offset"),
        limit=min(max(call.number("limit", MAX_UPDATES), 1), MAX_UPDATES),
        wait_s=call.number("timeout"),
    )


@api("setWebhook")
def set_webhook(call: Call) -> bool:
    if call.text("url"):
        raise ApiError("Bad Request: bad webhook: the sandbox delivers updates by getUpdates alone")
    return delete_webhook(call)


@api("deleteWebhook")
def delete_webhook(call: Call) -> bool:
    if call.flag("drop_pending_updates"):
        call.queue.drop(call.bot.id)
    return True


@api("getWebhookInfo")
def get_webhook_info(call: Call) -> JSON:
    return {"url": "", "has_custom_certificate": False, "pending_update_count": call.queue.pending(call.bot.id)}
