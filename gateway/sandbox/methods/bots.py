"""What users do with bots. Source: https://core.telegram.org/api/bots."""

from __future__ import annotations

import asyncio

from telethon.tl import functions, types

from gateway.sandbox.methods.messages import send_message
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method
from gateway.sandbox.rpcerror import RpcError

f = functions.messages


@method(f.StartBotRequest)
def start_bot(request: Request, query: TL) -> TL:
    text = f"/start {query.start_param}".rstrip()
    return send_message(request, f.SendMessageRequest(query.peer, text, random_id=query.random_id))


@method(f.GetBotCallbackAnswerRequest)
def get_bot_callback_answer(request: Request, query: TL) -> asyncio.Future[TL]:
    peer = request.user(query.peer)
    found = request.world.messages("owner = ? AND peer = ? AND id = ?", request.user_id, peer.id, query.msg_id)
    if not found:
        raise RpcError(400, "MESSAGE_ID_INVALID")
    return request.telegram.bots.press(request.user_id, found[0], query.data or b"")


@method(f.GetInlineBotResultsRequest)
def get_inline_bot_results(request: Request, query: TL) -> TL | asyncio.Future[TL]:
    bot = request.user(query.bot)
    match query.peer:
        case types.InputPeerEmpty():
            peer_type = None
        case _ if request.user(query.peer).id == bot.id:
            peer_type = types.InlineQueryPeerTypeSameBotPM()
        case _:
            peer_type = types.InlineQueryPeerTypePM()
    return request.telegram.bots.ask(request.user_id, bot, query.query, query.offset, peer_type)


@method(f.SendInlineBotResultRequest)
def send_inline_bot_result(request: Request, query: TL) -> TL:
    peer = request.user(query.peer)
    sender = request.user_id
    if request.world.is_blocked(peer.id, sender):
        raise RpcError(400, "USER_IS_BLOCKED")
    if request.world.messages("owner = ? AND random_id = ?", sender, query.random_id):
        raise RpcError(500, "RANDOM_ID_DUPLICATE")
    posted = request.telegram.bots.choose(
        sender, peer.id, query.query_id, query.id, random_id=query.random_id, but=request.link, silent=query.silent
    )
    named = types.UpdateMessageID(posted.message.id, query.random_id)
    about = {sender, peer.id, posted.message.via_bot_id}
    return request.cloud.updates(sender, [named, posted.update], about)
