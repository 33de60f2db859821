"""Settings of the SIP side."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

#: The folder that holds asterisk/ and dialplan/ beside the package.
PROJECT: Final = Path(__file__).resolve().parents[2]


class AsteriskSettings(BaseModel):
    """Where calls come in, and which Asterisk takes them.

    Attributes:
        prefix: Made by asterisk/install.sh. Without one, the host's own Asterisk is run.
        bind: The address of SIP on this host.
        udp_port, tcp_port, tls_port: None: not offered. 0: any free one (tests).
        tls_certificate, tls_key: PEM files. Without them a self-signed pair is made.
        rtp_first_port, rtp_last_port: Two ports a call are used of these, both ends included.
        external_address: The public address behind NAT, put into SIP and SDP towards everyone outside `local_nets`.
        local_nets: Networks reached without NAT.
        ari_url: Of an operator's own Asterisk, such as http://127.0.0.1:8088; nothing is embedded then.
        config_dir: That Asterisk's configuration folder, where generated files go through AMI.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: Path = PROJECT / ".asterisk"
    bind: str = "0.0.0.0"
    udp_port: int | None = Field(default=5060, ge=0, le=65535)
    tcp_port: int | None = Field(default=5060, ge=0, le=65535)
    tls_port: int | None = Field(default=5061, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    rtp_first_port: int = Field(default=10000, ge=1024, le=65534)
    rtp_last_port: int = Field(default=19999, ge=1025, le=65535)
    external_address: str = ""
    local_nets: tuple[str, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")

    ari_url: str = ""
    ari_user: str = "siptg"
    ari_password: SecretStr = SecretStr("")
    ami_host: str = "127.0.0.1"
    ami_port: int = Field(default=5038, ge=1, le=65535)
    ami_user: str = "siptg"
    ami_secret: SecretStr = SecretStr("")
    config_dir: Path = Path("/etc/asterisk")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.rtp_last_port <= self.rtp_first_port:
            raise ValueError("rtp_last_port must be above rtp_first_port")
        if self.ari_url and not (self.ari_password.get_secret_value() and self.ami_secret.get_secret_value()):
            raise ValueError("an Asterisk of your own (ari_url) needs ari_password and ami_secret")
        return self
