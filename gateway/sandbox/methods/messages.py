"""Private messages and conversations. Source: https://core.telegram.org/method/messages.sendMessage, …"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from telethon.tl import functions, types

from gateway.sandbox.methods.files import media
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method
from gateway.sandbox.rpcerror import RpcError
from gateway.sandbox.world import StoredMessage, User

f = functions.messages

#: Source: https://core.telegram.org/constructor/config (message_length_max).
MAX_LENGTH = 4096
MAX_CAPTION_LENGTH = 1024


@method(f.SendMessageRequest)
def send_message(request: Request, query: TL) -> TL:
    if not query.message.strip():
        raise RpcError(400, "MESSAGE_EMPTY")
    if len(query.message) > MAX_LENGTH:
        raise RpcError(400, "MESSAGE_TOO_LONG")
    return _send(request, query, None)


@method(f.SendMediaRequest)
def send_media(request: Request, query: TL) -> TL:
    if len(query.message) > MAX_CAPTION_LENGTH:
        raise RpcError(400, "MEDIA_CAPTION_TOO_LONG")
    return _send(request, query, media(request, query.media))


def _send(request: Request, query: TL, attached: TL) -> TL:
    sender = request.world.user(request.user_id)
    if isinstance(query.peer, types.InputPeerChat):
        content = {"message": query.message, "entities": query.entities or None, "media": attached}
        posted = request.telegram.groups.post(
            sender.id, query.peer.chat_id, random_id=query.random_id, but=request.link, **content
        )
        named = types.UpdateMessageID(posted.message.id, query.random_id)
        return request.cloud.updates(sender.id, [named, posted.update], {sender.id})
    peer = request.user(query.peer)
    if request.world.is_blocked(peer.id, sender.id):
        raise RpcError(400, "YOU_BLOCKED_USER" if request.world.is_blocked(sender.id, peer.id) else "USER_IS_BLOCKED")
    if request.world.messages("owner = ? AND random_id = ?", sender.id, query.random_id):
        raise RpcError(500, "RANDOM_ID_DUPLICATE")
    request.telegram.logins.void_codes_in(sender, query.message)
    posted = request.telegram.mailbox.post(
        sender.id,
        peer.id,
        random_id=query.random_id,
        reply_to=getattr(query.reply_to, "reply_to_msg_id", None),
        but=request.link,
        message=query.message,
        entities=query.entities or None,
        media=attached,
        silent=query.silent,
        # Only bots may send keyboards.
        reply_markup=query.reply_markup if sender.is_bot else None,
    )
    named = types.UpdateMessageID(posted.message.id, query.random_id)
    return request.cloud.updates(sender.id, [named, posted.update], {sender.id, peer.id})


@method(f.ForwardMessagesRequest)
def forward_messages(request: Request, query: TL) -> TL:
    """Source: https://core.telegram.org/api/forwards."""
    source, peer = request.user(query.from_peer), request.user(query.to_peer)
    updates: list[TL] = []
    for number, random_id in zip(query.id, query.random_id, strict=True):
        found = request.world.messages("owner = ? AND peer = ? AND id = ?", request.user_id, source.id, number)
        if not found:
            raise RpcError(400, "MESSAGE_ID_INVALID")
        message = found[0].message
        author = request.world.user(request.user_id if message.out else source.id)
        posted = request.telegram.mailbox.post(
            request.user_id,
            peer.id,
            random_id=random_id,
            but=request.link,
            message=message.message,
            entities=message.entities,
            media=message.media,
            fwd_from=message.fwd_from or _origin(request, author, message),
        )
        updates += [types.UpdateMessageID(posted.message.id, random_id), posted.update]
    return request.cloud.updates(request.user_id, updates, {request.user_id, source.id, peer.id})


def _origin(request: Request, author: User, message: TL) -> TL:
    """Who wrote it first; of whoever hides himself from those who forward, his name alone."""
    if request.world.allows(author.id, "Forwards", request.user_id):
        return types.MessageFwdHeader(message.date, from_id=types.PeerUser(author.id))
    name = f"{author.first_name} {author.last_name}".strip()
    return types.MessageFwdHeader(message.date, from_name=name)


@method(f.EditMessageRequest)
def edit_message(request: Request, query: TL) -> TL:
    peer = request.user(query.peer)
    own = request.world.messages("owner = ? AND id = ? AND outgoing", request.user_id, query.id)
    if not own:
        raise RpcError(400, "MESSAGE_ID_INVALID")
    content = {"message": query.message, "entities": query.entities, "reply_markup": query.reply_markup}
    changes = {name: value for name, value in content.items() if value is not None}
    edited = request.telegram.mailbox.edit(request.user_id, query.id, but=request.link, **changes)
    updates = [edited.update] if edited else []
    return request.cloud.updates(request.user_id, updates, {request.user_id, peer.id})


@method(f.DeleteMessagesRequest)
def delete_messages(request: Request, query: TL) -> TL:
    pts, count = request.telegram.mailbox.delete(request.user_id, query.id, revoke=bool(query.revoke), but=request.link)
    return types.messages.AffectedMessages(pts, count)


@method(f.DeleteHistoryRequest)
def delete_history(request: Request, query: TL) -> TL:
    peer = request.user(query.peer)
    doomed = request.world.messages(
        "owner = ? AND peer = ? AND id <= ?", request.user_id, peer.id, query.max_id or 2**31 - 1
    )
    pts, count = request.telegram.mailbox.delete(
        request.user_id, [copy.id for copy in doomed], revoke=bool(query.revoke), but=request.link
    )
    return types.messages.AffectedHistory(pts, count, 0)


@method(f.ReadHistoryRequest)
def read_history(request: Request, query: TL) -> TL:
    peer = request.user(query.peer)
    pts, count = request.telegram.mailbox.read(request.user_id, peer.id, query.max_id, but=request.link)
    return types.messages.AffectedMessages(pts, count)


@method(f.SetTypingRequest)
def set_typing(request: Request, query: TL) -> bool:
    peer = request.user(query.peer)
    if peer.id != request.user_id:
        request.cloud.tell(peer.id, [types.UpdateUserTyping(request.user_id, query.action)], {request.user_id})
    return True


@method(f.GetMessagesRequest)
def get_messages(request: Request, query: TL) -> TL:
    wanted = [named.id for named in query.id]
    found = {
        copy.id: copy
        for number in wanted
        for copy in request.world.messages("owner = ? AND id = ?", request.user_id, number)
    }
    messages = [found[number].message if number in found else types.MessageEmpty(number) for number in wanted]
    return types.messages.Messages(messages, [], [], _people(request, found.values()))


@method(f.GetHistoryRequest)
def get_history(request: Request, query: TL) -> TL:
    """Source: https://core.telegram.org/api/offsets."""
    peer = request.user(query.peer)
    everything = request.world.messages("owner = ? AND peer = ?", request.user_id, peer.id)
    start = next(
        (n for n, copy in enumerate(everything) if not query.offset_id or copy.id < query.offset_id), len(everything)
    )
    first = max(0, start + query.add_offset)
    page = [
        copy
        for copy in everything[first : max(0, start + query.add_offset + query.limit)]
        if copy.id > query.min_id and (not query.max_id or copy.id < query.max_id)
    ]
    messages = [copy.message for copy in page]
    people = _people(request, page)
    if len(page) == len(everything):
        return types.messages.Messages(messages, [], [], people)
    return types.messages.MessagesSlice(len(everything), messages, [], [], people)


@method(f.GetDialogsRequest)
def get_dialogs(request: Request, query: TL) -> TL:
    peers = request.world.peers(request.user_id)
    after = [(peer, top) for peer, top in peers if not query.offset_id or top < query.offset_id]
    page = after[: query.limit or 100]
    dialogs, messages, people = _dialogs(request, page)
    if len(page) == len(peers):
        return types.messages.Dialogs(dialogs, messages, [], people)
    return types.messages.DialogsSlice(len(peers), dialogs, messages, [], people)


@method(f.GetPinnedDialogsRequest)
def get_pinned_dialogs(request: Request, _query: TL) -> TL:
    return types.messages.PeerDialogs([], [], [], [], state(request))


@method(f.GetPeerDialogsRequest)
def get_peer_dialogs(request: Request, query: TL) -> TL:
    wanted = {request.user(named.peer).id for named in query.peers}
    page = [(peer, top) for peer, top in request.world.peers(request.user_id) if peer in wanted]
    dialogs, messages, people = _dialogs(request, page)
    return types.messages.PeerDialogs(dialogs, messages, [], people, state(request))


def state(request: Request) -> TL:
    user = request.world.user(request.user_id)
    unread = sum(request.world.unread(user.id, peer) for peer, _ in request.world.peers(user.id))
    return types.updates.State(user.pts, 0, request.cloud.date(), 0, unread)


def _dialogs(request: Request, page: Sequence[tuple[int, int]]) -> tuple[list[TL], list[TL], list[TL]]:
    owner = request.user_id
    dialogs, tops = [], []
    for peer, top in page:
        inbox, outbox = request.world.read_marks(owner, peer)
        unread = request.world.unread(owner, peer)
        dialogs.append(
            types.Dialog(types.PeerUser(peer), top, inbox, outbox, unread, 0, 0, 0, types.PeerNotifySettings())
        )
        tops += request.world.messages("owner = ? AND id = ?", owner, top)
    return dialogs, [copy.message for copy in tops], _people(request, tops)


def _people(request: Request, copies: Iterable[StoredMessage]) -> list[TL]:
    peers = {copy.peer for copy in copies if copy.peer > 0}
    return request.cloud.users(request.user_id, peers | {request.user_id})
