"""What a client missed. Source: https://core.telegram.org/api/updates."""

from __future__ import annotations

from telethon.tl import functions, types

from gateway.sandbox.cloud import DIFFERENCE_LIMIT
from gateway.sandbox.methods.messages import state
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method


@method(functions.updates.GetStateRequest)
def get_state(request: Request, _query: TL) -> TL:
    return state(request)


@method(functions.updates.GetDifferenceRequest)
def get_difference(request: Request, query: TL) -> TL:
    now = state(request)
    limit = min(query.pts_limit or DIFFERENCE_LIMIT, DIFFERENCE_LIMIT)
    missed = request.world.updates_since(request.user_id, query.pts, limit)
    if not missed:
        return types.updates.DifferenceEmpty(request.cloud.date(), 0)
    messages = [update.message for update, _ in missed if isinstance(update, types.UpdateNewMessage)]
    others = [update for update, _ in missed if not isinstance(update, types.UpdateNewMessage)]
    about = {user_id for _, users in missed for user_id in users}
    people = request.cloud.users(request.user_id, about)
    last = missed[-1][0].pts
    if last < now.pts:
        now.pts = last
        return types.updates.DifferenceSlice(messages, [], others, [], people, now)
    return types.updates.Difference(messages, [], others, [], people, now)
