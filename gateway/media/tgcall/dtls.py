"""DTLS: the secure channel that makes the keys of the audio and carries the data channel.

No socket and no clock but the library's own for retransmission, which `poll` drives.

Source: RFC 6347 (DTLS 1.2); RFC 5763 and RFC 5764 (SRTP over DTLS); RFC 8122 (fingerprints).
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from .model import Failure

#: Fits every path with its relay headers.
MTU: Final = 1200
_DTLS_1_2: Final = 0xFEFD
_RECORD_HEADER_BYTES: Final = 13
_KEYING_LABEL: Final = b"EXTRACTOR-dtls_srtp"
_CIPHERS: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
#: A hostile peer must not keep us decrypting in one go.
_MOST_READS: Final = 16


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """Source: RFC 5764 §4.1.2, RFC 7714 §14.2."""

    name: str
    key_bytes: int
    salt_bytes: int


PROFILES: Final = {
    b"SRTP_AEAD_AES_128_GCM": SrtpProfile("AEAD_AES_128_GCM", 16, 12),
    b"SRTP_AES128_CM_SHA1_80": SrtpProfile("AES128_CM_SHA1_80", 16, 14),
}


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    profile: SrtpProfile
    ours: bytes = field(repr=False)
    theirs: bytes = field(repr=False)


class Certificate:
    """The certificate of this process, and the context that shows it.

    One serves all calls: a call's peer learns its fingerprint over the call's own signalling.
    """

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = fingerprint(certificate.public_bytes(serialization.Encoding.DER))
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_min_proto_version(_DTLS_1_2)
        self.context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        self.context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        self.context.set_cipher_list(_CIPHERS)
        self.context.set_tlsext_use_srtp(b":".join(PROFILES))
        # Who it is follows from its fingerprint, not from an authority: any certificate passes here.
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.check_privatekey()


def fingerprint(der: bytes) -> str:
    """Of a certificate, as InitialSetup carries it. Source: RFC 8122 §5."""
    return hashlib.sha256(der).digest().hex(":").upper()


class DtlsState(enum.Enum):
    HANDSHAKE = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()
    FAILED = enum.auto()


class Dtls:
    """One secure channel.

    Args:
        certificate: Ours.
        client: Who speaks first: the caller.
        expected: The peer's fingerprint; another certificate fails the channel.
        send: Takes each packet, of at most `MTU` bytes.

    Attributes:
        keys: Of the audio, once it is OPEN.
        failure: Why it is FAILED, or CLOSED by the peer.
    """

    def __init__(self, certificate: Certificate, client: bool, expected: str, send: Callable[[bytes], None]) -> None:
        self.state = DtlsState.HANDSHAKE
        self.keys: SrtpKeys | None = None
        self.failure: Failure | None = None
        self._client = client
        self._expected = expected
        self._send_packet = send
        self._ssl = SSL.Connection(certificate.context, None)
        self._ssl.set_ciphertext_mtu(MTU)
        if client:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()

    def start(self) -> None:
        """Speak first, if it is ours to."""
        if self._client:
            self._handshake()

    def send(self, data: bytes) -> None:
        if self.state is DtlsState.OPEN:
            try:
                self._ssl.send(data)
            except SSL.Error:
                return  # closing; nothing that matters is lost
            self._flush()

    def receive(self, packet: bytes) -> list[bytes]:
        """Take a packet; answer the application data in it."""
        if not packet or self.state not in (DtlsState.HANDSHAKE, DtlsState.OPEN):
            return []
        self._ssl.bio_write(packet)
        if self.state is DtlsState.HANDSHAKE:
            self._handshake()
        return self._read() if self.state is DtlsState.OPEN else []

    def poll(self, now: float) -> float:
        """Retransmit what is due; answer when to come again."""
        if self.state is not DtlsState.HANDSHAKE:
            return float("inf")
        wait_s = self._ssl.DTLSv1_get_timeout()
        if wait_s is not None and wait_s <= 0:
            try:
                self._ssl.DTLSv1_handle_timeout()
            except SSL.Error:
                self._fail(Failure.NO_HANDSHAKE)
                return float("inf")
            self._flush()
            wait_s = self._ssl.DTLSv1_get_timeout()
        return float("inf") if wait_s is None else now + wait_s

    def close(self) -> None:
        """Tell the peer that we leave."""
        if self.state is DtlsState.OPEN:
            self.state = DtlsState.CLOSED
            try:
                self._ssl.shutdown()
            except SSL.Error:
                return
            self._flush()

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error:
            self._flush()
            self._fail(Failure.NO_HANDSHAKE)
            return
        self._flush()
        self._check()

    def _check(self) -> None:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        profile = PROFILES.get(self._ssl.get_selected_srtp_profile())
        if certificate is None or fingerprint(certificate.public_bytes(serialization.Encoding.DER)) != self._expected:
            self._fail(Failure.WRONG_CERTIFICATE)
        elif profile is None:
            self._fail(Failure.NO_HANDSHAKE)
        else:
            self.keys = self._export(profile)
            self.state = DtlsState.OPEN

    def _export(self, profile: SrtpProfile) -> SrtpKeys:
        """Source: RFC 5764 §4.2: client key, server key, client salt, server salt."""
        key, salt = profile.key_bytes, profile.salt_bytes
        material = self._ssl.export_keying_material(_KEYING_LABEL, 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        return SrtpKeys(profile, client, server) if self._client else SrtpKeys(profile, server, client)

    def _read(self) -> list[bytes]:
        messages = []
        try:
            for _ in range(_MOST_READS):
                messages.append(self._ssl.recv(16 * 1024))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.state = DtlsState.CLOSED
            self.failure = Failure.PEER_CLOSED
        except SSL.Error:
            # A damaged record is dropped by the library itself; this is an alert of the peer.
            self._fail(Failure.PEER_CLOSED)
        self._flush()
        return messages

    def _fail(self, failure: Failure) -> None:
        self.state = DtlsState.FAILED
        self.failure = failure

    def _flush(self) -> None:
        """Send what the library wrote: several records in one piece, to be packed by their borders."""
        try:
            written = self._ssl.bio_read(64 * 1024)
        except SSL.WantReadError:
            return
        begin = at = 0
        while at + _RECORD_HEADER_BYTES <= len(written):
            end = at + _RECORD_HEADER_BYTES + int.from_bytes(written[at + 11 : at + 13], "big")
            if end - begin > MTU and at > begin:
                self._send_packet(written[begin:at])
                begin = at
            at = end
        self._send_packet(written[begin:])
