from __future__ import annotations

import asyncio
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.crypto import AuthKey
from telethon.tl import types

from gateway.errors import GatewayError
from gateway.telegram.ports import Peer
from gateway.telegram.session import KeptSession, SessionFormError, SessionKeeper

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def user(user_id: int, access_hash: int = 7, **more: object) -> types.User:
    return types.User(user_id, access_hash=access_hash, first_name="Ann", **more)


def people(*users: types.User) -> types.contacts.ResolvedPeer:
    return types.contacts.ResolvedPeer(None, [], list(users))


def whole() -> KeptSession:
    session = KeptSession()
    session.set_dc(2, "127.0.0.1", 443)
    session.auth_key = AuthKey(bytes(range(256)))
    session.set_update_state(0, types.updates.State(10, 20, NOW, 30, unread_count=0))
    session.set_update_state(1234, types.updates.State(5, 0, NOW, 0, unread_count=0))
    return session


def test_a_session_comes_back_as_it_was() -> None:
    before = whole()
    after = KeptSession.restored(before.secret(), ())
    assert (after.dc_id, after.server_address, after.port) == (2, "127.0.0.1", 443)
    assert after.auth_key.key == bytes(range(256))
    assert after.auth_key.key_id == before.auth_key.key_id
    states = dict(after.get_update_states())
    assert (states[0].pts, states[0].qts, states[0].date, states[0].seq) == (10, 20, NOW, 30)
    assert states[1234].pts == 5
    assert len(before.secret()) < 2048


def test_a_key_that_begins_with_a_zero_comes_back_whole() -> None:
    session = KeptSession()
    session.auth_key = AuthKey(bytes(2) + b"\x01" * 254)
    assert KeptSession.restored(session.secret(), ()).auth_key.key == bytes(2) + b"\x01" * 254


@pytest.mark.parametrize("form", ["", "{}", "[]", "null", '{"form": 2}', '{"form": 1, "key": "zz"}', "\x00\xff"])
def test_a_secret_of_another_form_is_refused(form: str) -> None:
    with pytest.raises(SessionFormError):
        KeptSession.restored(form.encode("latin-1"), ())


@given(st.binary(max_size=200))
def test_any_rubbish_is_refused_with_one_error(secret: bytes) -> None:
    with pytest.raises(SessionFormError):
        KeptSession.restored(secret, ())


def test_only_what_changed_is_given_out_to_be_saved() -> None:
    session = whole()
    assert session.changed.is_set()
    assert session.take_secret() is not None
    assert session.take_secret() is None
    session.set_update_state(0, types.updates.State(10, 20, NOW, 30, unread_count=9))
    session.set_dc(2, "127.0.0.1", 443)
    assert session.take_secret() is None
    session.set_update_state(0, types.updates.State(11, 20, NOW, 30, unread_count=0))
    taken = session.take_secret()
    assert taken is not None
    assert json.loads(taken)["updates"]["0"][0] == 11

    session.process_entities(people(user(1), user(2)))
    assert {peer.id for peer in session.take_peers()} == {1, 2}
    session.process_entities(people(user(1), user(2, username="Bob")))
    assert session.take_peers() == (Peer(2, 7, "bob", "", "Ann"),)


def test_what_could_not_be_saved_counts_as_changed_again() -> None:
    session = whole()
    session.process_entities(people(user(1)))
    secret, peers = session.take_secret(), session.take_peers()
    session.process_entities(people(user(1, username="newer")))
    session.give_back(secret, peers)
    assert session.take_secret() is not None
    assert [peer.username for peer in session.take_peers()] == ["newer"]


def test_peers_are_found_by_id_username_and_phone_until_these_move_on() -> None:
    session = KeptSession.restored(None, [Peer(1, 11, "anna", "1555", "Ann")])
    assert session.get_input_entity("anna") == types.InputPeerUser(1, 11)
    assert session.get_input_entity("@Anna") == types.InputPeerUser(1, 11)
    assert session.get_input_entity("+1555") == types.InputPeerUser(1, 11)
    session.process_entities(people(user(2, 22, username="anna", phone="1555"), user(1, 11)))
    assert session.get_input_entity("anna") == types.InputPeerUser(2, 22)
    assert session.get_input_entity(1) == types.InputPeerUser(1, 11)
    with pytest.raises(ValueError, match="Could not find"):
        session.get_input_entity("Ann")  # a display name is nobody's own
    with pytest.raises(ValueError, match="Could not find"):
        session.get_input_entity(3)


def test_a_user_seen_only_in_passing_can_not_be_called() -> None:
    session = KeptSession()
    session.process_entities(people(user(1, min=True)))
    assert session.get_entity_rows_by_id(1) is None


def test_a_channel_is_found_by_its_bare_id() -> None:
    session = KeptSession.restored(None, [Peer(-1_000_000_000_005, 9)])
    assert session.get_input_entity(5) == types.InputPeerChannel(5, 9)
    assert session.get_input_entity(types.PeerChannel(5)) == types.InputPeerChannel(5, 9)


class Vault:
    def __init__(self) -> None:
        self.secrets: list[bytes] = []
        self.peers: list[Peer] = []
        self.broken = False

    async def load_session(self, account_id: int) -> bytes | None:
        return None

    async def save_session(self, account_id: int, secret: bytes) -> None:
        if self.broken:
            raise GatewayError("disk full")
        self.secrets.append(secret)

    async def forget_session(self, account_id: int) -> None: ...

    async def load_peers(self, account_id: int) -> list[Peer]:
        return []

    async def save_peers(self, account_id: int, peers: object) -> None:
        self.peers.extend(peers)  # type: ignore[arg-type]


async def nothing() -> None: ...


async def test_a_burst_of_changes_is_one_write() -> None:
    session, vault = whole(), Vault()
    keeper = SessionKeeper(1, session, vault, 0.02, nothing)
    task = asyncio.create_task(keeper.run())
    for pts in range(20):
        session.set_update_state(0, types.updates.State(pts, 0, NOW, 0, unread_count=0))
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert len(vault.secrets) == 1
    assert json.loads(vault.secrets[0])["updates"]["0"][0] == 19
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_store_that_fails_is_tried_again() -> None:
    session, vault = whole(), Vault()
    keeper = SessionKeeper(1, session, vault, 0.01, nothing)
    vault.broken = True
    await keeper.save()
    assert session.changed.is_set()
    vault.broken = False
    await keeper.save()
    assert len(vault.secrets) == 1
