from __future__ import annotations

import pytest
from telethon import errors
from telethon.tl import functions, types

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.conftest import BOB
from tests.integration.sandbox.phones import Phone, online


async def test_somebody_is_found_by_number_and_by_name(ann_phone: Phone, bob: User) -> None:
    by_number = await ann_phone.client(functions.contacts.ResolvePhoneRequest(BOB))
    by_name = await ann_phone.client(functions.contacts.ResolveUsernameRequest("BOB"))
    assert by_number.users[0].id == by_name.users[0].id == bob.id
    assert (await ann_phone.client.get_entity("bob")).first_name == "Bob"


async def test_nobody_is_found_by_a_free_number(ann_phone: Phone) -> None:
    with pytest.raises(errors.PhoneNotOccupiedError):
        await ann_phone.client(functions.contacts.ResolvePhoneRequest("+15559999"))
    with pytest.raises(errors.UsernameNotOccupiedError):
        await ann_phone.client(functions.contacts.ResolveUsernameRequest("nobody"))


async def test_who_hides_his_number_is_not_found_by_it(sandbox: Sandbox, ann_phone: Phone, bob: User) -> None:
    sandbox.set_privacy(bob, "AddedByPhone", [("AllowContacts", [])])
    with pytest.raises(errors.PhoneNotOccupiedError):
        await ann_phone.client(functions.contacts.ResolvePhoneRequest(BOB))


async def test_a_number_is_seen_by_contacts_alone(sandbox: Sandbox, ann: User, ann_phone: Phone, bob: User) -> None:
    assert (await ann_phone.client.get_entity("bob")).phone is None
    sandbox.add_contact(bob, ann)
    assert (await ann_phone.client.get_entity("bob")).phone == bob.phone


async def test_an_access_hash_is_good_for_its_viewer_alone(sandbox: Sandbox, ann_phone: Phone, bob: User) -> None:
    named = await ann_phone.find(BOB)
    eve = sandbox.create_user("+15550003", "Eve")
    async with online(sandbox, eve) as phone:
        with pytest.raises(errors.UserIdInvalidError):
            await phone.client(functions.users.GetFullUserRequest(named))


async def test_contacts_are_imported_and_listed(ann_phone: Phone, bob: User) -> None:
    imported = await ann_phone.client(
        functions.contacts.ImportContactsRequest(
            [types.InputPhoneContact(1, BOB, "Bobby", "B"), types.InputPhoneContact(2, "+15559999", "No", "One")]
        )
    )
    assert [each.user_id for each in imported.imported] == [bob.id]
    listed = await ann_phone.client(functions.contacts.GetContactsRequest(0))
    assert [(each.id, each.first_name, each.phone) for each in listed.users] == [(bob.id, "Bobby", bob.phone)]


@pytest.mark.parametrize(
    ("key", "rules"),
    [
        (types.InputPrivacyKeyPhoneCall, [types.InputPrivacyValueAllowAll]),
        (types.InputPrivacyKeyPhoneP2P, [types.InputPrivacyValueAllowAll]),
        (types.InputPrivacyKeyChatInvite, [types.InputPrivacyValueDisallowAll]),
        (types.InputPrivacyKeyPhoneCall, [types.InputPrivacyValueAllowContacts, types.InputPrivacyValueDisallowAll]),
    ],
)
async def test_privacy_is_read_back_as_it_was_set(ann_phone: Phone, key: type, rules: list[type]) -> None:
    await ann_phone.client(functions.account.SetPrivacyRequest(key(), [rule() for rule in rules]))
    shown = await ann_phone.client(functions.account.GetPrivacyRequest(key()))
    assert [f"Input{type(rule).__name__}" for rule in shown.rules] == [rule.__name__ for rule in rules]


async def test_privacy_may_name_users(ann_phone: Phone, bob: User) -> None:
    named = await ann_phone.find(BOB)
    shown = await ann_phone.client(
        functions.account.SetPrivacyRequest(
            types.InputPrivacyKeyPhoneCall(),
            [types.InputPrivacyValueAllowUsers([named]), types.InputPrivacyValueDisallowAll()],
        )
    )
    assert shown.rules[0].users == [bob.id]
    assert [user.id for user in shown.users] == [bob.id]


async def test_a_full_user_tells_whether_he_may_be_called(sandbox: Sandbox, ann_phone: Phone, bob: User) -> None:
    full = (await ann_phone.client(functions.users.GetFullUserRequest("bob"))).full_user
    assert (full.phone_calls_available, full.phone_calls_private) == (True, False)
    sandbox.set_privacy(bob, "PhoneCall", [("DisallowAll", [])])
    full = (await ann_phone.client(functions.users.GetFullUserRequest("bob"))).full_user
    assert full.phone_calls_private


async def test_the_configuration_carries_the_call_timers(sandbox: Sandbox, ann_phone: Phone) -> None:
    sandbox.settings.call_ring_timeout_ms = 12_345
    config = await ann_phone.client(functions.help.GetConfigRequest())
    assert config.call_ring_timeout_ms == 12_345
    assert (config.dc_options[0].ip_address, config.dc_options[0].port) == sandbox.address
