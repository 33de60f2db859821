"""The embedded Asterisk's configuration folder: hand-written files as they are, and what is only known at the start.

The hand-written ones (asterisk/etc, dialplan) include the rendered ones (siptg_*.conf). The generated lines
(siptg_lines.conf) and the engineer's folder siptg-custom/ are never touched here.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.sip.listen import SipPorts, free_port
from gateway.sip.settings import PROJECT, AsteriskSettings

HAND_WRITTEN: Final = (PROJECT / "asterisk/etc", PROJECT / "dialplan")

#: Descriptors: four a call; the kernel's own hard limit may be lower.
MAX_FILES: Final = 65536
#: A PBX that was told to trust a certificate must not find another one after a year.
CERTIFICATE_DAYS: Final = 3650


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one run of the embedded Asterisk is reached with: new at every start of the node."""

    ari_port: int
    ami_port: int
    ari_password: str = field(repr=False)
    ami_secret: str = field(repr=False)

    @classmethod
    def draw(cls) -> Self:
        return cls(free_port("127.0.0.1"), free_port("127.0.0.1"), secrets.token_urlsafe(24), secrets.token_urlsafe(24))


def lay_out(
    state: Path, settings: AsteriskSettings, ports: SipPorts, drawn: Secrets, data: Path | None, modules: Path | None
) -> None:
    """Fill `state`/etc for a start. `data` and `modules`: see `Command`."""
    etc = state / "etc"
    for folder in HAND_WRITTEN:
        for file in folder.glob("*.conf"):
            shutil.copyfile(file, etc / file.name)
    certificate, key = settings.tls_certificate, settings.tls_key
    if ports.tls is not None and (certificate is None or key is None):
        certificate, key = state / "tls.crt", state / "tls.key"
        if not (certificate.exists() and key.exists()):
            make_certificate(certificate, key, settings.external_address or "siptg")
    _write(etc / "asterisk.conf", _asterisk(state, data, modules))
    _write(etc / "siptg_transports.conf", _transports(settings, ports, certificate, key))
    _write(etc / "siptg_http.conf", [f"bindport = {drawn.ari_port}"])
    _write(etc / "siptg_rtp.conf", [f"rtpstart = {settings.rtp_first_port}", f"rtpend = {settings.rtp_last_port}"])
    _write(etc / "siptg_ari.conf", ["[siptg]", "type = user", "read_only = no", f"password = {drawn.ari_password}"])
    _write(
        etc / "siptg_manager.conf",
        [
            *(f"port = {drawn.ami_port}", "[siptg]", f"secret = {drawn.ami_secret}"),
            *("deny = 0.0.0.0/0.0.0.0", "permit = 127.0.0.1/255.255.255.255"),
            *("read = system,security,reporting,config", "write = system,config,reporting", "writetimeout = 1000"),
        ],
    )


def _asterisk(state: Path, data: Path | None, modules: Path | None) -> Iterable[str]:
    yield "[directories]"
    yield f"astetcdir = {state}/etc"
    if modules is not None:
        yield f"astmoddir = {modules}"
    if data is not None:
        yield f"astdatadir = {data}"
    yield f"astvarlibdir = {state}/lib"
    yield f"astdbdir = {state}/lib"
    yield f"astkeydir = {state}/lib"
    yield f"astspooldir = {state}/spool"
    yield f"astrundir = {state}/run"
    yield f"astlogdir = {state}/log"
    yield "[options]"
    yield "live_dangerously = no"
    yield "execincludes = no"
    yield "nocolor = yes"
    yield "hideconnect = yes"
    yield f"maxfiles = {MAX_FILES}"
    yield "systemname = siptg"


def _transports(
    settings: AsteriskSettings, ports: SipPorts, certificate: Path | None, key: Path | None
) -> Iterable[str]:
    host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    for name, port in (("udp", ports.udp), ("tcp", ports.tcp), ("tls", ports.tls)):
        if port is None:
            continue
        yield f"[transport-{name}]"
        yield "type = transport"
        yield f"protocol = {name}"
        yield f"bind = {host}:{port}"
        # Calls go on over a reload of res_pjsip.
        yield "allow_reload = no"
        if name == "tls":
            yield f"cert_file = {certificate}"
            yield f"priv_key_file = {key}"
            yield "method = tlsv1_2"
        if settings.external_address:
            yield f"external_media_address = {settings.external_address}"
            yield f"external_signaling_address = {settings.external_address}"
            yield from (f"local_net = {net}" for net in settings.local_nets)


def _write(file: Path, lines: Iterable[str]) -> None:
    """Readable for nobody else, from the first byte on."""
    text = "; Written at each start of the gateway; a change here is lost.\n" + "".join(f"{line}\n" for line in lines)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


def make_certificate(certificate: Path, key: Path, name: str) -> None:
    """Make a self-signed pair, for PBXs that are told to trust it or that don't check."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(plain)
    certificate.write_bytes(signed.public_bytes(pem))
