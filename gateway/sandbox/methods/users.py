"""Users, contacts, numbers and names. Source: https://core.telegram.org/api/contacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from telethon.tl import functions, types

from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method
from gateway.sandbox.rpcerror import RpcError
from gateway.sandbox.world import User, digits

f = functions.contacts


@method(functions.users.GetUsersRequest)
def get_users(request: Request, query: TL) -> list[TL]:
    return [request.cloud.user(request.user_id, request.user(named)) for named in query.id]


@method(functions.users.GetFullUserRequest)
def get_full_user(request: Request, query: TL) -> TL:
    user = request.user(query.id)
    viewer = request.user_id
    may_call = not user.is_bot and user.id != viewer
    full = types.UserFull(
        id=user.id,
        settings=types.PeerSettings(),
        notify_settings=types.PeerNotifySettings(),
        common_chats_count=0,
        blocked=request.world.is_blocked(viewer, user.id) or None,
        phone_calls_available=may_call or None,
        phone_calls_private=(may_call and not request.world.allows(user.id, "PhoneCall", viewer)) or None,
        bot_info=_bot_info(request, user) if user.is_bot else None,
    )
    return types.users.UserFull(full, [], request.cloud.users(viewer, {user.id}))


def _bot_info(request: Request, bot: User) -> TL:
    """What a bot says of itself, in the language of the device that asks."""
    key = request.world.key(request.link.key_id)
    language = str(key.device.get("lang_code", "")) if key else ""
    profile = request.cloud.profiles.of(bot.id)
    button = profile.menu_button.get(request.user_id) or profile.menu_button.get(0) or {"type": "commands"}
    commands = profile.commands_for(request.user_id, language)
    return types.BotInfo(
        user_id=bot.id,
        description=profile.text("description", language) or None,
        commands=[types.BotCommand(command["command"], command["description"]) for command in commands],
        menu_button=_MENU_BUTTONS[button["type"]](button),
    )


_MENU_BUTTONS: Final[Mapping[str, Callable[[Mapping[str, Any]], TL]]] = {
    "default": lambda _: types.BotMenuButtonDefault(),
    "commands": lambda _: types.BotMenuButtonCommands(),
    "web_app": lambda button: types.BotMenuButton(button["text"], button["web_app"]["url"]),
}


@method(f.ResolvePhoneRequest)
def resolve_phone(request: Request, query: TL) -> TL:
    user = _found_by_phone(request, query.phone)
    if user is None:
        raise RpcError(400, "PHONE_NOT_OCCUPIED")
    return _resolved(request, user)


@method(f.ResolveUsernameRequest)
def resolve_username(request: Request, query: TL) -> TL:
    user = request.world.find_user("username", query.username)
    if user is None:
        raise RpcError(400, "USERNAME_NOT_OCCUPIED")
    return _resolved(request, user)


@method(f.ImportContactsRequest)
def import_contacts(request: Request, query: TL) -> TL:
    imported, about = [], set()
    for contact in query.contacts:
        user = _found_by_phone(request, contact.phone)
        if user:
            request.world.add_contact(request.user_id, user.id, contact.first_name, contact.last_name, phone_known=True)
            imported.append(types.ImportedContact(user.id, contact.client_id))
            about.add(user.id)
    return types.contacts.ImportedContacts(imported, [], [], request.cloud.users(request.user_id, about))


@method(f.GetContactsRequest)
def get_contacts(request: Request, _query: TL) -> TL:
    owner = request.user_id
    contacts = request.world.contacts(owner)
    shown = [types.Contact(contact, request.world.contact(contact, owner) is not None) for contact in contacts]
    return types.contacts.Contacts(shown, len(shown), request.cloud.users(owner, contacts))


@method(f.AddContactRequest)
def add_contact(request: Request, query: TL) -> TL:
    user = request.user(query.id)
    phone_known = user.phone is not None and digits(query.phone) == user.phone
    request.world.add_contact(request.user_id, user.id, query.first_name, query.last_name, phone_known=phone_known)
    return _settings_changed(request, [user.id])


@method(f.DeleteContactsRequest)
def delete_contacts(request: Request, query: TL) -> TL:
    users = [request.user(named).id for named in query.id]
    for user_id in users:
        request.world.remove_contact(request.user_id, user_id)
    return _settings_changed(request, users)


@method(f.BlockRequest)
def block(request: Request, query: TL) -> bool:
    request.telegram.bots.block(request.user_id, request.user(query.id).id, blocked=True)
    return True


@method(f.UnblockRequest)
def unblock(request: Request, query: TL) -> bool:
    request.telegram.bots.block(request.user_id, request.user(query.id).id, blocked=False)
    return True


def _found_by_phone(request: Request, phone: str) -> User | None:
    user = request.world.find_user("phone", digits(phone))
    hidden = user is not None and not request.world.allows(user.id, "AddedByPhone", request.user_id)
    return None if hidden else user


def _resolved(request: Request, user: User) -> TL:
    return types.contacts.ResolvedPeer(types.PeerUser(user.id), [], request.cloud.users(request.user_id, {user.id}))


def _settings_changed(request: Request, users: list[int]) -> TL:
    updates = [types.UpdatePeerSettings(types.PeerUser(user_id), types.PeerSettings()) for user_id in users]
    return request.cloud.updates(request.user_id, updates, users)
