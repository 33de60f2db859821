from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sandbox.mtproto import AuthKey
from gateway.sandbox.world import User, World, WorldError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path / "world.db")
    yield opened
    opened.close()


@pytest.fixture
def ann(world: World) -> User:
    return world.create_user(phone="+1 555 0001", first_name="Ann")


@pytest.fixture
def bob(world: World) -> User:
    return world.create_user(phone="15550002", first_name="Bob", username="Bob")


def test_numbers_are_kept_as_digits_and_taken_once(world: World, ann: User) -> None:
    assert ann.phone == "15550001"
    with pytest.raises(WorldError):
        world.create_user(phone="+15550001", first_name="Eve")


def test_names_are_the_same_in_any_case(world: World, bob: User) -> None:
    assert world.find_user("username", "bOB") == bob


def test_ids_do_not_fit_into_32_bits(ann: User) -> None:
    assert ann.id > 2**32


def test_access_hashes_differ_by_viewer(world: World, ann: User, bob: User) -> None:
    thing = f"user {ann.id}"
    assert world.access_hash(ann.id, thing) != world.access_hash(bob.id, thing)
    assert world.access_hash(bob.id, thing) == world.access_hash(bob.id, thing)


def test_what_fails_half_way_did_not_happen(world: World, ann: User) -> None:
    def change() -> None:
        with world.transaction():
            world.change_user(ann.id, first_name="Eve")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert world.user(ann.id).first_name == "Ann"


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    first = World(tmp_path / "kept.db")
    ann = first.create_user(phone="15550001", first_name="Ann")
    key = AuthKey.random()
    first.add_key(key, 17)
    first.authorize(key.id, ann.id, 0)
    hash_before = first.access_hash(1, "user 2")
    first.close()
    second = World(tmp_path / "kept.db")
    kept = second.key(key.id)
    authorization = second.authorization_of(key.id)
    assert kept is not None
    assert kept.auth_key == key
    assert authorization is not None
    assert authorization.user == ann.id
    assert second.access_hash(1, "user 2") == hash_before
    second.close()


def test_another_version_of_the_world_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path / "world.db")
    world._db.execute("PRAGMA user_version=99")
    world.close()
    with pytest.raises(WorldError, match="another version"):
        World(tmp_path / "world.db")


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([("AllowAll", [])], True),
        ([("DisallowAll", [])], False),
        ([("AllowContacts", []), ("DisallowAll", [])], False),
        ([("AllowUsers", ["bob"]), ("DisallowAll", [])], True),
        ([("DisallowUsers", ["bob"]), ("AllowAll", [])], False),
        ([("DisallowUsers", ["ann"]), ("AllowAll", [])], True),
        ([("DisallowContacts", []), ("AllowAll", [])], True),
    ],
)
def test_privacy_of_a_stranger(
    world: World, ann: User, bob: User, rules: list[tuple[str, list[str]]], allowed: bool
) -> None:
    ids = {"ann": ann.id, "bob": bob.id}
    world.set_privacy(ann.id, "PhoneCall", [(name, [ids[who] for who in whom]) for name, whom in rules])
    assert world.allows(ann.id, "PhoneCall", bob.id) is allowed


@pytest.mark.parametrize(("rule", "allowed"), [("AllowContacts", True), ("DisallowContacts", False)])
def test_contacts_go_before_all(world: World, ann: User, bob: User, rule: str, allowed: bool) -> None:
    world.add_contact(ann.id, bob.id, "Bob", "", phone_known=True)
    opposite = "DisallowAll" if allowed else "AllowAll"
    world.set_privacy(ann.id, "PhoneCall", [(opposite, []), (rule, [])])
    assert world.allows(ann.id, "PhoneCall", bob.id) is allowed


def test_a_number_is_shown_to_contacts_by_default(world: World, ann: User, bob: User) -> None:
    assert not world.allows(ann.id, "PhoneNumber", bob.id)
    world.add_contact(ann.id, bob.id, "Bob", "", phone_known=False)
    assert world.allows(ann.id, "PhoneNumber", bob.id)
