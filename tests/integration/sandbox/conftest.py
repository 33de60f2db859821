from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiogram import Bot

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.bots import api
from tests.integration.sandbox.phones import Phone, online

ANN, BOB = "+15550001", "+15550002"


@pytest.fixture
def ann(sandbox: Sandbox) -> User:
    return sandbox.create_user(ANN, "Ann")


@pytest.fixture
def bob(sandbox: Sandbox) -> User:
    return sandbox.create_user(BOB, "Bob", username="bob")


@pytest.fixture
async def ann_phone(sandbox: Sandbox, ann: User) -> AsyncIterator[Phone]:
    async with online(sandbox, ann) as phone:
        yield phone


@pytest.fixture
async def bob_phone(sandbox: Sandbox, bob: User) -> AsyncIterator[Phone]:
    async with online(sandbox, bob) as phone:
        yield phone


@pytest.fixture
def our_bot(sandbox: Sandbox) -> User:
    return sandbox.create_bot("our_bot", "Our bot")


@pytest.fixture
async def bot(sandbox: Sandbox, our_bot: User) -> AsyncIterator[Bot]:
    async with api(sandbox, our_bot) as bot:
        yield bot
