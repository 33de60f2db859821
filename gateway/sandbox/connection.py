"""One client's connection: packets in, answers and updates out."""

from __future__ import annotations

import asyncio
import gzip
import struct
import time
from typing import Any, Final

import structlog
from telethon.extensions import BinaryReader
from telethon.tl import functions, types
from telethon.tl.core import GzipPacked, MessageContainer, RpcResult

from gateway.sandbox.faults import Fault, FaultKind, Faults
from gateway.sandbox.methods import METHODS
from gateway.sandbox.mtproto import (
    TL,
    UNKNOWN_KEY,
    AuthKey,
    Envelope,
    Handshake,
    MessageIds,
    MtprotoError,
    ServerKey,
    open_envelope,
    plain_message,
    read,
    seal,
)
from gateway.sandbox.rpc import Method, Request, Telegram, method_name, serialise
from gateway.sandbox.rpcerror import RememberedError, RpcError
from gateway.sandbox.transport import Transport, recognise

log = structlog.get_logger(__name__)

#: Answers longer than this are compressed, so that clients meet compressed ones.
GZIP_FROM: Final = 4096
#: Source: https://core.telegram.org/mtproto/service_messages_about_messages (error codes).
BAD_SALT: Final = 48

WRAPPERS: Final = (
    functions.InvokeWithLayerRequest,
    functions.InitConnectionRequest,
    functions.InvokeWithoutUpdatesRequest,
    functions.InvokeAfterMsgRequest,
    functions.InvokeAfterMsgsRequest,
    functions.InvokeWithTakeoutRequest,
)


class Connection:
    """A link of the cloud to one client, from its first byte to its last."""

    def __init__(
        self,
        telegram: Telegram,
        server_key: ServerKey,
        faults: Faults,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._telegram = telegram
        self._cloud = telegram.cloud
        self._faults = faults
        self._reader = reader
        self._writer = writer
        self._transport: Transport | None = None
        self._handshake = Handshake(server_key)
        self._ids = MessageIds()
        self._key: AuthKey | None = None
        self._salt = 0
        self._session_id: int | None = None
        self._sent = 0
        self.wants_updates = False

    @property
    def key_id(self) -> int:
        return self._key.id if self._key else 0

    async def run(self) -> None:
        """Serve the client until it leaves."""
        try:
            self._transport = await recognise(self._reader)
            while True:
                self._packet(await self._transport.read())
                await self._writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError) as left:
            log.debug("client left", reason=str(left))
        except Exception as fault:
            log.exception("connection failed by a fault of ours")
            self._cloud.failures.append(fault)
        finally:
            self._leave()
            self._writer.close()

    def drop(self) -> None:
        self._writer.transport.abort()

    def push(self, body: bytes) -> None:
        self._send(body, is_answer=False)

    def _leave(self) -> None:
        if self._key is None:
            return
        self._cloud.unlinked(self)
        authorization = self._telegram.world.authorization_of(self.key_id)
        if authorization:
            self._telegram.world.change_user(authorization.user, seen=int(self._cloud.now()))

    # In

    def _packet(self, packet: bytes) -> None:
        if len(packet) < 24:
            raise MtprotoError(f"a packet of {len(packet)} bytes")
        (key_id,) = struct.unpack("<q", packet[:8])
        if key_id == 0:
            self._exchange(packet)
            return
        if key_id != self.key_id and not self._take_key(key_id):
            self._write(UNKNOWN_KEY)
            raise MtprotoError("an unknown key")
        assert self._key is not None
        envelope = open_envelope(self._key, packet)
        if envelope.session_id != self._session_id:
            self._session_id, self._sent = envelope.session_id, 0
            is_new = True
        else:
            is_new = False
        if envelope.salt != self._salt:
            bad = types.BadServerSalt(envelope.msg_id, envelope.seq_no, BAD_SALT, self._salt)
            self._send(bytes(bad), is_answer=True, is_content=False)
            return
        if is_new:
            session = types.NewSessionCreated(envelope.msg_id, self._session_id, self._salt)
            self._send(bytes(session), is_answer=False)
        self._message(envelope.msg_id, envelope.body)

    def _exchange(self, packet: bytes) -> None:
        _, _, length = struct.unpack("<qqI", packet[:20])
        answer = self._handshake.answer(read(packet[20 : 20 + length]))
        if self._handshake.key:
            with self._cloud.change():
                self._telegram.world.add_key(self._handshake.key, self._handshake.first_salt)
            self._take_key(self._handshake.key.id)
        self._write(plain_message(self._ids.next(is_answer=True), bytes(answer)))

    def _take_key(self, key_id: int) -> bool:
        known = self._telegram.world.key(key_id)
        if known is None:
            return False
        if self._key:
            self._cloud.unlinked(self)
        self._key, self._salt = known.auth_key, known.salt
        self._cloud.linked(self)
        return True

    def _message(self, msg_id: int, body: bytes) -> None:
        (constructor,) = struct.unpack("<I", body[:4])
        if constructor == MessageContainer.CONSTRUCTOR_ID:
            for inner_id, inner in _contained(body):
                self._message(inner_id, inner)
        elif constructor == GzipPacked.CONSTRUCTOR_ID:
            self._message(msg_id, gzip.decompress(BinaryReader(body[4:]).tgread_bytes()))
        else:
            try:
                query = read(body)
            except MtprotoError:
                log.warning("request unknown to the schema", constructor=f"{constructor:08x}")
                self._answer(msg_id, _error(RpcError(400, f"INPUT_METHOD_INVALID_{constructor}")))
                return
            self._service(msg_id, query)

    def _service(self, msg_id: int, query: TL) -> None:
        """Answer what belongs to the transport; the rest are requests to the API.

        Source: https://core.telegram.org/mtproto/service_messages.
        """
        match query:
            case types.MsgsAck() | types.MsgsStateInfo() | types.MsgsAllInfo():
                return
            case functions.PingRequest() | functions.PingDelayDisconnectRequest():
                answer = types.Pong(msg_id, query.ping_id)
            case functions.GetFutureSaltsRequest():
                now = int(time.time())
                salt = types.FutureSalt(self._cloud.date(now), self._cloud.date(now + 86400), self._salt)
                answer = types.FutureSalts(msg_id, self._cloud.date(now), [salt])
            case types.MsgsStateReq() | types.MsgResendReq():
                answer = types.MsgsStateInfo(msg_id, "\x01" * len(query.msg_ids))
            case functions.DestroySessionRequest():
                answer = types.DestroySessionOk(query.session_id)
            case functions.RpcDropAnswerRequest():
                self._answer(msg_id, bytes(types.RpcAnswerUnknown()))
                return
            case _:
                self._request(msg_id, query)
                return
        self._send(bytes(answer), is_answer=True, is_content=False)

    # Requests

    def _request(self, msg_id: int, query: TL) -> None:
        wants_updates = True
        while isinstance(query, WRAPPERS):
            if isinstance(query, functions.InitConnectionRequest):
                self._note_device(query)
            if isinstance(query, functions.InvokeWithoutUpdatesRequest):
                wants_updates = False
            query = query.query
        name = method_name(type(query))
        authorization = self._telegram.world.authorization_of(self.key_id)
        fault = self._faults.strikes(name, authorization.user if authorization else None)
        kind = fault.kind if fault else None
        if fault and kind is FaultKind.ERROR:
            self._answer(msg_id, _error(RpcError(fault.code, fault.name)))
        elif kind is FaultKind.DROP:
            self.drop()
        elif fault and kind is FaultKind.DELAY:
            asyncio.get_running_loop().call_later(fault.delay_s, self._execute, msg_id, query, wants_updates, fault)
        elif kind is not FaultKind.HANG:
            self._execute(msg_id, query, wants_updates, fault)

    def _execute(self, msg_id: int, query: TL, wants_updates: bool, fault: Fault | None) -> None:
        request = Request(self._telegram, self, self._telegram.world.authorization_of(self.key_id))
        body = self._outcome(request, query)
        if fault and fault.kind is FaultKind.DROP_AFTER:
            self.drop()
        elif isinstance(body, asyncio.Future):
            body.add_done_callback(lambda answer: self._answer(msg_id, _awaited(answer)))
        else:
            self._answer(msg_id, body)
        if wants_updates and not self.wants_updates and self._telegram.world.authorization_of(self.key_id):
            self._begin_updates()
        self._cloud.flush()

    def _outcome(self, request: Request, query: TL) -> bytes | asyncio.Future[Any]:
        """Execute a request, all of it or nothing, and serialise its answer before the change counts."""
        try:
            with self._cloud.change():
                known = self._admitted(request, query)
                answer = known.handler(request, query)
                return answer if isinstance(answer, asyncio.Future) else serialise(answer)
        except RememberedError as refused:
            with self._cloud.change():
                refused.note()
            return _error(refused)
        except RpcError as refused:
            return _error(refused)
        except Exception as fault:
            log.exception("request failed by a fault of ours", method=method_name(type(query)))
            self._cloud.failures.append(fault)
            return _error(RpcError(500, "INTERNAL"))

    def _admitted(self, request: Request, query: TL) -> Method:
        known = METHODS.get(type(query))
        if known is None:
            log.warning("method not in the sandbox", method=method_name(type(query)))
            raise RpcError(400, "METHOD_INVALID")
        if not known.is_open and self._telegram.world.user(request.user_id).banned:
            raise RpcError(401, "USER_DEACTIVATED_BAN")
        return known

    def _begin_updates(self) -> None:
        self.wants_updates = True
        authorization = self._telegram.world.authorization_of(self.key_id)
        if authorization:
            self._telegram.calls.catch_up(authorization.user, self)

    def _note_device(self, said: TL) -> None:
        fields = ("api_id", "device_model", "system_version", "app_version", "lang_code")
        device: dict[str, Any] = {name: getattr(said, name) for name in fields}
        with self._cloud.change():
            self._telegram.world.change_key(self.key_id, device=device)
            authorization = self._telegram.world.authorization_of(self.key_id)
            if authorization:
                self._telegram.world.change_authorization(authorization.hash, active=self._cloud.now())

    # Out

    def _answer(self, msg_id: int, body: bytes) -> None:
        if len(body) > GZIP_FROM:
            body = bytes(GzipPacked(body))
        self._send(struct.pack("<Iq", RpcResult.CONSTRUCTOR_ID, msg_id) + body, is_answer=True)

    def _send(self, body: bytes, *, is_answer: bool, is_content: bool = True) -> None:
        if self._key is None or self._session_id is None:
            return
        seq_no = self._sent * 2 + is_content
        self._sent += is_content
        msg_id = self._ids.next(is_answer=is_answer)
        self._write(seal(self._key, Envelope(self._salt, self._session_id, msg_id, seq_no, body)))

    def _write(self, packet: bytes) -> None:
        if self._transport and not self._writer.is_closing():
            self._writer.write(self._transport.pack(packet))


def _contained(body: bytes) -> list[tuple[int, bytes]]:
    """The messages of a container: id and body of each."""
    (count,) = struct.unpack("<I", body[4:8])
    found, at = [], 8
    for _ in range(count):
        msg_id, _seq_no, length = struct.unpack("<qiI", body[at : at + 16])
        found.append((msg_id, body[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def _awaited(answer: asyncio.Future[Any]) -> bytes:
    try:
        return serialise(answer.result())
    except RpcError as refused:
        return _error(refused)


def _error(refused: RpcError) -> bytes:
    return bytes(types.RpcError(refused.code, refused.name))
