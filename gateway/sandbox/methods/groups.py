"""Groups, as far as the sandbox has them. Source: https://core.telegram.org/method/messages.createChat, …"""

from __future__ import annotations

from telethon.tl import functions, types

from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method

f = functions.messages


@method(f.CreateChatRequest)
def create_chat(request: Request, query: TL) -> TL:
    users = [request.user(named).id for named in query.users]
    group = request.telegram.groups.create(request.user_id, query.title, users)
    updates = request.cloud.updates(request.user_id, [], {request.user_id, *users})
    updates.chats = [request.telegram.groups.shown(group)]
    return types.messages.InvitedUsers(updates, [])


@method(f.AddChatUserRequest)
def add_chat_user(request: Request, query: TL) -> TL:
    user = request.user(query.user_id)
    request.telegram.groups.add(query.chat_id, user.id, request.user_id)
    updates = request.cloud.updates(request.user_id, [], {request.user_id, user.id})
    updates.chats = [request.telegram.groups.shown(query.chat_id)]
    return types.messages.InvitedUsers(updates, [])
