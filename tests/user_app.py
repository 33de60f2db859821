"""What a Telegram user sees in his own app, by what his side of a call computed."""

from __future__ import annotations

from gateway.sandbox.behaviour import CallReport
from gateway.telegram.emoji import EMOJI


def emoji_of(call: CallReport) -> str:
    """The pictures of the key. Source: https://core.telegram.org/api/end-to-end/voice-calls#key-verification."""
    digest = int(call.key_digest, 16)
    words = [digest >> 64 * at & (1 << 63) - 1 for at in (3, 2, 1, 0)]
    return " ".join(EMOJI[word % len(EMOJI)] for word in words)
