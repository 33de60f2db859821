"""What the gateway must not forget: accounts, lines, call records, and Telegram's sessions, sealed."""

from gateway.storage.accounts import AccountRepository, StoredAccount
from gateway.storage.conversations import ConversationRepository
from gateway.storage.database import StorageError
from gateway.storage.handovers import Handover, HandoverRepository
from gateway.storage.jobs import Job, JobRepository
from gateway.storage.lines import LineRepository
from gateway.storage.notices import KeptNotice, NoticeRepository
from gateway.storage.records import CallRecordRepository
from gateway.storage.seal import WrongKeyError
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from gateway.storage.subscriptions import Subscription, SubscriptionRepository
from gateway.storage.telegram import TelegramRepository

__all__ = [
    "AccountRepository",
    "CallRecordRepository",
    "ConversationRepository",
    "Handover",
    "HandoverRepository",
    "Job",
    "JobRepository",
    "KeptNotice",
    "LineRepository",
    "NoticeRepository",
    "StorageError",
    "StorageSettings",
    "Store",
    "StoredAccount",
    "Subscription",
    "SubscriptionRepository",
    "TelegramRepository",
    "WrongKeyError",
]
