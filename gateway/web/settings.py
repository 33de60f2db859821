"""Settings of what the gateway serves over HTTP."""

from __future__ import annotations

import ipaddress

from pydantic import BaseModel, ConfigDict, Field, field_validator


class WebSettings(BaseModel):
    """Off by default: without a password on it, a port is for whoever may reach it, so the operator opens it himself.

    Attributes:
        host: The address that is listened at. On another than loopback, a firewall has to say who may ask.
        metrics_port: Of /health and /metrics; without it they are not served. 0 is any free port.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)

    @property
    def serves(self) -> bool:
        """Whether there is anything to serve."""
        return self.metrics_port is not None

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        ipaddress.ip_address(host)
        return host
