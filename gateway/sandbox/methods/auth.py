"""Logging in and out. Source: https://core.telegram.org/api/auth."""

from __future__ import annotations

from telethon.tl import functions, types

from gateway.sandbox.methods.account import refuse_if_fresh
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method

f = functions.auth


@method(f.SendCodeRequest, is_open=True)
def send_code(request: Request, query: TL) -> TL:
    return request.telegram.logins.send_code(query.phone_number)


@method(f.ResendCodeRequest, is_open=True)
def resend_code(request: Request, query: TL) -> TL:
    return request.telegram.logins.send_code(query.phone_number)


@method(f.CancelCodeRequest, is_open=True)
def cancel_code(request: Request, query: TL) -> bool:
    request.world.forget_code(query.phone_number.lstrip("+"))
    return True


@method(f.SignInRequest, is_open=True)
def sign_in(request: Request, query: TL) -> TL:
    return request.telegram.logins.sign_in(
        request.link.key_id, query.phone_number, query.phone_code_hash, query.phone_code or ""
    )


@method(f.ImportBotAuthorizationRequest, is_open=True)
def import_bot_authorization(request: Request, query: TL) -> TL:
    return request.telegram.logins.sign_in_bot(request.link.key_id, query.bot_auth_token)


@method(f.CheckPasswordRequest, is_open=True)
def check_password(request: Request, query: TL) -> TL:
    return request.telegram.logins.check_password(request.link.key_id, query.password)


@method(f.RequestPasswordRecoveryRequest, is_open=True)
def request_password_recovery(request: Request, _query: TL) -> TL:
    return request.telegram.logins.request_recovery(request.link.key_id)


@method(f.CheckRecoveryPasswordRequest, is_open=True)
def check_recovery_password(request: Request, query: TL) -> bool:
    request.telegram.logins.check_recovery(request.link.key_id, query.code)
    return True


@method(f.RecoverPasswordRequest, is_open=True)
def recover_password(request: Request, query: TL) -> TL:
    return request.telegram.logins.recover(request.link.key_id, query.code, query.new_settings)


@method(f.ExportLoginTokenRequest, is_open=True)
def export_login_token(request: Request, _query: TL) -> TL:
    return request.telegram.logins.export_token(request.link.key_id)


@method(f.ImportLoginTokenRequest, is_open=True)
def import_login_token(request: Request, _query: TL) -> TL:
    # A token is imported by who was sent to another data centre; there is none.
    return request.telegram.logins.export_token(request.link.key_id)


@method(f.AcceptLoginTokenRequest)
def accept_login_token(request: Request, query: TL) -> TL:
    return request.telegram.logins.accept_token(request.user_id, query.token)


@method(f.LogOutRequest)
def log_out(request: Request, _query: TL) -> TL:
    request.world.revoke(request.device.hash)
    return types.auth.LoggedOut()


@method(f.ResetAuthorizationsRequest)
def reset_authorizations(request: Request, _query: TL) -> bool:
    refuse_if_fresh(request)
    for other in request.world.authorizations("user", request.user_id):
        if other.hash != request.device.hash:
            request.world.revoke(other.hash)
    return True
