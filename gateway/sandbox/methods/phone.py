"""Calls, as clients ask for them; what comes of it is in `calls`."""

from __future__ import annotations

import os

from telethon.tl import functions, types

from gateway.sandbox.mtproto import DH_G, DH_PRIME, TL
from gateway.sandbox.rpc import Request, method
from gateway.sandbox.rpcerror import RpcError

f = functions.phone

#: The prime never changes, so neither does its version.
DH_VERSION = 3


@method(functions.messages.GetDhConfigRequest)
def get_dh_config(_request: Request, query: TL) -> TL:
    if not 0 <= query.random_length <= 1024:
        raise RpcError(400, "RANDOM_LENGTH_INVALID")
    random = os.urandom(query.random_length)
    if query.version == DH_VERSION:
        return types.messages.DhConfigNotModified(random)
    return types.messages.DhConfig(DH_G, DH_PRIME, DH_VERSION, random)


@method(f.GetCallConfigRequest)
def get_call_config(_request: Request, _query: TL) -> TL:
    return types.DataJSON("{}")


@method(f.RequestCallRequest)
def request_call(request: Request, query: TL) -> TL:
    callee = request.user(query.user_id)
    call = request.telegram.calls.request(
        request.link, request.user_id, callee.id, query.random_id, query.g_a_hash, query.protocol
    )
    return _phone_call(request, call)


@method(f.ReceivedCallRequest)
def received_call(request: Request, query: TL) -> bool:
    request.telegram.calls.received(request.link, request.user_id, query.peer)
    return True


@method(f.AcceptCallRequest)
def accept_call(request: Request, query: TL) -> TL:
    call = request.telegram.calls.accept(request.link, request.user_id, query.peer, query.g_b, query.protocol)
    return _phone_call(request, call)


@method(f.ConfirmCallRequest)
def confirm_call(request: Request, query: TL) -> TL:
    call = request.telegram.calls.confirm(request.link, request.user_id, query.peer, query.g_a, query.key_fingerprint)
    return _phone_call(request, call)


@method(f.DiscardCallRequest)
def discard_call(request: Request, query: TL) -> TL:
    return request.telegram.calls.discard(request.link, request.user_id, query.peer, query.duration, query.reason)


@method(f.SendSignalingDataRequest)
def send_signaling_data(request: Request, query: TL) -> bool:
    request.telegram.calls.signal(request.link, request.user_id, query.peer, query.data)
    return True


@method(f.SetCallRatingRequest)
def set_call_rating(request: Request, query: TL) -> TL:
    request.telegram.calls.rate(request.user_id, query.peer, query.rating)
    return request.cloud.updates(request.user_id, [], [])


@method(f.SaveCallDebugRequest)
def save_call_debug(_request: Request, _query: TL) -> bool:
    return True


def _phone_call(request: Request, call: TL) -> TL:
    return types.phone.PhoneCall(call, request.cloud.users(request.user_id, {call.admin_id, call.participant_id}))
