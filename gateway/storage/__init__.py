"""What the gateway must not forget: accounts, lines, call records, and Telegram's sessions, sealed."""

from gateway.storage.accounts import AccountRepository, StoredAccount
from gateway.storage.database import StorageError
from gateway.storage.lines import LineRepository
from gateway.storage.records import CallRecordRepository
from gateway.storage.seal import WrongKeyError
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from gateway.storage.telegram import TelegramRepository

__all__ = [
    "AccountRepository",
    "CallRecordRepository",
    "LineRepository",
    "StorageError",
    "StorageSettings",
    "Store",
    "StoredAccount",
    "TelegramRepository",
    "WrongKeyError",
]
