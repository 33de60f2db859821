"""The store: one database, one key, and a repository for each kind of thing kept."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from gateway.errors import GatewayError
from gateway.storage.accounts import AccountRepository
from gateway.storage.conversations import ConversationRepository
from gateway.storage.database import Database
from gateway.storage.handovers import HandoverRepository
from gateway.storage.jobs import JobRepository
from gateway.storage.kept import KeptSettings
from gateway.storage.lines import LineRepository
from gateway.storage.migrate import migrate
from gateway.storage.notices import NoticeRepository
from gateway.storage.records import CallRecordRepository
from gateway.storage.seal import Seal, WrongKeyError, key_from_file, key_from_text
from gateway.storage.settings import StorageSettings
from gateway.storage.subscriptions import SubscriptionRepository
from gateway.storage.telegram import TelegramRepository

#: A known word, sealed by the first key: whether it opens tells a wrong key at the start, not at the first call.
_KEY_CHECK: Final = "storage.key_check"


class Store:
    """Opened with `async with`: migrates, finds or makes the key, and proves it.

    Raises `GatewayError` with a sentence: wrong key, damaged or locked database, no permission, a newer schema.
    """

    accounts: AccountRepository
    lines: LineRepository
    records: CallRecordRepository
    telegram: TelegramRepository
    conversations: ConversationRepository
    handovers: HandoverRepository
    subscriptions: SubscriptionRepository
    jobs: JobRepository
    notices: NoticeRepository
    settings: KeptSettings

    def __init__(self, settings: StorageSettings, state: Path) -> None:
        self._settings = settings
        self._state = state
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        _make_folder(self._state)
        async with AsyncExitStack() as opening:
            database = await opening.enter_async_context(Database(self._settings.database_url(self._state)))
            await migrate(database)
            self.settings = KeptSettings(database)
            seal = await self._proven_seal()
            self.accounts = AccountRepository(database, seal)
            self.lines = LineRepository(database, seal)
            self.records = CallRecordRepository(database)
            self.telegram = TelegramRepository(database, seal)
            self.handovers = HandoverRepository(database)
            self.subscriptions = SubscriptionRepository(database)
            self.jobs = JobRepository(database)
            self.notices = NoticeRepository(database)
            self.conversations = ConversationRepository(database, seal)
            self._closing = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    async def ask(self) -> None:
        """Ask the database something, to see whether it answers. Raises `StorageError`."""
        await self.settings.get(_KEY_CHECK)

    async def _proven_seal(self) -> Seal:
        check = await self.settings.get(_KEY_CHECK)
        if text := self._settings.key.get_secret_value():
            seal = Seal(key_from_text(text))
        else:
            seal = Seal(key_from_file(self._state, may_make=check is None))
        if check is None:
            sealed = base64.b64encode(seal.seal(b"siptg", _KEY_CHECK)).decode()
            check = await self.settings.set_once(_KEY_CHECK, sealed)
        try:
            seal.open(base64.b64decode(check), _KEY_CHECK)
        except WrongKeyError as error:
            raise WrongKeyError(
                "The storage key is not the one that this database was encrypted with. Give the right one in"
                f" SIPTG_STORAGE__KEY, or bring back the file {self._state / 'key'}."
            ) from error
        return seal


def _make_folder(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise GatewayError(f"The state folder {state} can't be made: {error.strerror}.") from error
