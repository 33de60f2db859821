"""What a sandbox can be told to do otherwise, while it runs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """The knobs of the local Telegram. Defaults are what the real one does, as far as that is known."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    #: How far the world's clock is ahead, in seconds. Dates follow it; the transport's clock does not.
    clock_offset_s: float = 0

    #: False: whoever connects is cut off at once, as in a network that fails; see also `Scene.drop_connections`.
    accepts_connections: bool = True

    code_lifetime_s: float = 300
    #: Wrong codes before the number has to wait, and for how long. Telegram's own numbers are not known.
    code_attempts: int = 5
    code_flood_s: int = 600
    qr_lifetime_s: float = 30
    #: How long a fresh login may not touch the other ones.
    fresh_s: float = 86400

    #: How long a bot may take to answer a press or an inline query. Telegram's own number is not known.
    bot_answer_s: float = 10
    #: How many messages a bot may send to one chat in a second, and at once; None: as many as it likes. Telegram
    #: publishes no numbers. Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this.
    bot_chat_rate: float | None = None
    bot_chat_burst: int = 20

    #: Source: https://core.telegram.org/constructor/config (call_*_timeout_ms).
    call_receive_timeout_ms: int = 20_000
    call_ring_timeout_ms: int = 90_000
    call_connect_timeout_ms: int = 30_000
    call_packet_timeout_ms: int = 10_000
    #: Media servers that an established call names; each has the fields of phoneConnectionWebrtc, or, with a
    #: `peer_tag` in hexadecimal digits, those of phoneConnection.
    connections: list[dict[str, Any]] = Field(default_factory=list)
    custom_parameters: str | None = None
    #: None: as both users' privacy says.
    p2p_allowed: bool | None = None
