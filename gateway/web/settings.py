"""Settings of what the gateway serves over HTTP."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator


class WebSettings(BaseModel):
    """Off by default: without a password on it, a port is for whoever may reach it, so the operator opens it himself.

    Attributes:
        host: The address that is listened at. On another than loopback, a firewall has to say who may ask.
        metrics_port: Of /health and /metrics; without it they are not served. 0 is any free port.
        public_url: Where people reach the pages, by a reverse proxy that speaks TLS, such as https://pbx.example.com/tg;
            without it there are no pages.
        pages_port: Where that proxy reaches them: a port of their own, so that it can't publish the figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    public_url: str = ""
    pages_port: int = Field(default=9471, gt=0, le=65535)

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        ipaddress.ip_address(host)
        return host

    @field_validator("public_url")
    @classmethod
    def _safe(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError("an address of pages, such as https://pbx.example.com")
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
            raise ValueError("passwords are typed there: it begins with https://, unless it is on loopback")
        return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
