"""What the local Telegram answers, by subject. Importing this fills `rpc.METHODS`."""

from gateway.sandbox.methods import account, auth, bots, files, help, messages, phone, updates, users

__all__ = ["account", "auth", "bots", "files", "help", "messages", "phone", "updates", "users"]
