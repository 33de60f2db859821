"""One's own devices, privacy and password. Source: https://core.telegram.org/method/account.getAuthorizations, …"""

from __future__ import annotations

from typing import Any

from telethon.tl import functions, types

from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method
from gateway.sandbox.rpcerror import RpcError
from gateway.sandbox.world import Authorization, Rules

f = functions.account


@method(f.GetAuthorizationsRequest)
def get_authorizations(request: Request, _query: TL) -> TL:
    own = request.device.hash
    devices = request.world.authorizations("user", request.user_id)
    return types.account.Authorizations(
        180, [request.telegram.logins.describe(device, current=device.hash == own) for device in devices]
    )


@method(f.ChangeAuthorizationSettingsRequest)
def change_authorization_settings(request: Request, query: TL) -> bool:
    device = _device(request, query.hash)
    if device.hash != request.device.hash:
        refuse_if_fresh(request)
    changes: dict[str, Any] = {}
    if query.call_requests_disabled is not None:
        changes["calls_disabled"] = query.call_requests_disabled
    if query.encrypted_requests_disabled is not None:
        changes["secrets_disabled"] = query.encrypted_requests_disabled
    if changes:
        request.world.change_authorization(device.hash, **changes)
    return True


@method(f.ResetAuthorizationRequest)
def reset_authorization(request: Request, query: TL) -> bool:
    device = _device(request, query.hash)
    refuse_if_fresh(request)
    return request.world.revoke(device.hash)


@method(f.UpdateStatusRequest)
def update_status(request: Request, _query: TL) -> bool:
    request.world.change_user(request.user_id, seen=int(request.cloud.now()))
    return True


@method(f.SetPrivacyRequest)
def set_privacy(request: Request, query: TL) -> TL:
    key = _privacy_key(query.key)
    rules = [_rule(request, rule) for rule in query.rules]
    if not rules:
        raise RpcError(400, "PRIVACY_VALUE_INVALID")
    request.world.set_privacy(request.user_id, key, rules)
    shown = _shown(request, rules)
    update = types.UpdatePrivacy(getattr(types, f"PrivacyKey{key}")(), shown.rules)
    request.cloud.tell(request.user_id, [update], [], but=request.link)
    return shown


@method(f.GetPrivacyRequest)
def get_privacy(request: Request, query: TL) -> TL:
    return _shown(request, request.world.privacy(request.user_id, _privacy_key(query.key)))


@method(f.GetPasswordRequest, is_open=True)
def get_password(request: Request, _query: TL) -> TL:
    return request.telegram.logins.password_state(request.link.key_id)


@method(f.UpdatePasswordSettingsRequest)
def update_password_settings(request: Request, query: TL) -> bool:
    request.telegram.logins.prove_password(request.link.key_id, query.password)
    request.telegram.logins.change_password(request.user_id, query.new_settings)
    return True


@method(f.GetPasswordSettingsRequest)
def get_password_settings(request: Request, query: TL) -> TL:
    request.telegram.logins.prove_password(request.link.key_id, query.password)
    kept = request.world.password(request.user_id)
    return types.account.PasswordSettings(email=(kept.email or None) if kept else None)


@method(f.GetNotifySettingsRequest)
def get_notify_settings(_request: Request, _query: TL) -> TL:
    return types.PeerNotifySettings()


@method(f.UpdateProfileRequest)
def update_profile(request: Request, query: TL) -> TL:
    changes = {"first_name": query.first_name, "last_name": query.last_name}
    given = {name: value for name, value in changes.items() if value is not None}
    user = request.world.change_user(request.user_id, **given) if given else request.world.user(request.user_id)
    return request.cloud.user(request.user_id, user)


def refuse_if_fresh(request: Request) -> None:
    """Who has just logged in may not touch the other devices."""
    if request.cloud.now() < request.device.created + request.telegram.settings.fresh_s:
        raise RpcError(406, "FRESH_RESET_AUTHORISATION_FORBIDDEN")


def _device(request: Request, authorization_hash: int) -> Authorization:
    if authorization_hash == 0:
        return request.device
    for device in request.world.authorizations("hash", authorization_hash):
        if device.user == request.user_id:
            return device
    raise RpcError(400, "HASH_INVALID")


def _privacy_key(key: TL) -> str:
    return type(key).__name__.removeprefix("InputPrivacyKey")


def _rule(request: Request, rule: TL) -> tuple[str, list[int]]:
    ids = [request.user(user).id for user in getattr(rule, "users", ())] or list(getattr(rule, "chats", ()))
    return type(rule).__name__.removeprefix("InputPrivacyValue"), ids


def _shown(request: Request, rules: Rules) -> TL:
    shown, about = [], set()
    for name, ids in rules:
        kind = getattr(types, f"PrivacyValue{name}")
        shown.append(kind(list(ids)) if name.endswith(("Users", "Participants")) else kind())
        about |= set(ids) if name.endswith("Users") else set()
    return types.account.PrivacyRules(shown, [], request.cloud.users(request.user_id, about))
