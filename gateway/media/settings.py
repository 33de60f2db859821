"""Settings of the audio path."""

from __future__ import annotations

import ipaddress
import os
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class MediaSettings(BaseModel):
    """The audio path.

    Attributes:
        engine: What carries the Telegram half; "auto" is our own engine where it works.
        workers: At most so many processes. One runs when idle, the others come when calls do. Without a number, one a
            core, and two at least: an engine works in one thread a process, and a crash shall not take every call.
        host: The address at which workers listen for Asterisk's RTP, and Asterisk reaches them.
        rtp_ports: First and last UDP port there; any free one without it.
        connect_s: A Telegram half that is not connected by then never will be. Engines give up after 10 to 15 s by
            themselves, and one of them sets up one call at a time.
        first_audio_s: A call whose audio has not begun so long after both halves were open is ended.
        dtx: Send Telegram's users next to nothing while the telephone is silent, where the engine can (ours). It spares
            four packets in five of a pause, but hardly any processor time; off by default, for in a pause the user
            then hears noise of his own app's making in place of the room at the telephone.
        answer_s: A worker that says nothing for so long hangs, and is replaced. It answers within a millisecond, but
            the machine may be busy.
        retire_s: A worker without a call for so long is let go while another is idle: it holds 40 MB, and a new one
            takes 0.3 s, but calls come in waves.
    """

    model_config = ConfigDict(extra="forbid")

    engine: Literal["auto", "ntgcalls", "tgcall"] = "auto"
    workers: int | None = Field(None, ge=1, le=64)
    host: str = "127.0.0.1"
    rtp_ports: tuple[int, int] | None = None
    connect_s: float = Field(25.0, gt=0)
    first_audio_s: float = Field(10.0, gt=0)
    dtx: bool = False
    answer_s: float = Field(5.0, gt=0)
    retire_s: float = Field(120.0, gt=0)

    @field_validator("host")
    @classmethod
    def _host_is_an_address(cls, host: str) -> str:
        if ipaddress.ip_address(host).is_unspecified:
            raise ValueError("host: one address that Asterisk can send to, not all of them")
        return host

    @model_validator(mode="after")
    def _ports_are_a_range(self) -> Self:
        if self.rtp_ports is not None and not 1024 <= self.rtp_ports[0] <= self.rtp_ports[1] <= 65535:
            raise ValueError("rtp_ports: first and last port, between 1024 and 65535, the lower one first")
        return self

    @property
    def most_workers(self) -> int:
        return self.workers or max(2, len(os.sched_getaffinity(0)))
