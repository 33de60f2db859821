"""What the local Telegram answers, by subject. Each module registers its methods when imported."""

from gateway.sandbox.methods import account, auth, bots, files, groups, help, messages, phone, updates, users
from gateway.sandbox.rpc import METHODS

__all__ = ["METHODS", "account", "auth", "bots", "files", "groups", "help", "messages", "phone", "updates", "users"]
