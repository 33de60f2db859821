"""What the Bot API answers, by subject. Importing this fills `call.METHODS`."""

from gateway.sandbox.botapi.methods import messages, profile, queries

__all__ = ["messages", "profile", "queries"]
