"""SIP messages as text, SDP, and the digest: pure, and no more of each than a telephone needs."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

#: Source: RFC 3261 §7.3.3 (compact forms).
_COMPACT: Final = {
    "v": "via",
    "f": "from",
    "t": "to",
    "m": "contact",
    "i": "call-id",
    "l": "content-length",
    "c": "content-type",
    "k": "supported",
    "e": "content-encoding",
}


@dataclass(slots=True)
class Message:
    """A request (`method`, `uri`) or a response (`code`, `reason`). Header names are compared without case."""

    method: str = ""
    uri: str = ""
    code: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """None for what is not SIP: keep-alives, rubbish."""
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode(errors="replace").split("\r\n")
        words = first.split(" ", 2)
        if (
            len(words) < 3
            or "SIP/2.0" not in (words[0], words[2])
            or (words[2] != "SIP/2.0" and not words[1].isdigit())
        ):
            return None
        message = cls(body=body)
        if words[0] == "SIP/2.0":
            message.code, message.reason = int(words[1]), words[2]
        else:
            message.method, message.uri = words[0], words[1]
        for line in rest:
            if line[:1] in " \t" and message.headers:  # folded
                name, value = message.headers[-1]
                message.headers[-1] = (name, f"{value} {line.strip()}")
                continue
            name, _, value = line.partition(":")
            message.headers.append((_COMPACT.get(name.strip().lower(), name.strip()), value.strip()))
        return message

    def render(self) -> bytes:
        first = f"SIP/2.0 {self.code} {self.reason}" if self.code else f"{self.method} {self.uri} SIP/2.0"
        lines = [first, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(self.body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    def get(self, name: str, default: str = "") -> str:
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.get("CSeq").partition(" ")
        return int(number), method.strip()

    @property
    def branch(self) -> str:
        return parameter(self.get("Via"), "branch")

    def reply(self, code: int, reason: str, tag: str = "", extra: Iterable[tuple[str, str]] = ()) -> Message:
        """A response to this request. Source: RFC 3261 §8.2.6."""
        to = self.get("To")
        if tag and "tag=" not in to:
            to = f"{to};tag={tag}"
        headers = [("Via", value) for value in self.all("Via")]
        headers += [("Record-Route", value) for value in self.all("Record-Route")]
        headers += [
            ("From", self.get("From")),
            ("To", to),
            ("Call-ID", self.get("Call-ID")),
            ("CSeq", self.get("CSeq")),
        ]
        return Message(code=code, reason=reason, headers=[*headers, *extra])


def parameter(header: str, name: str) -> str:
    """`;name=value` of a header; empty when it has none."""
    found = re.search(rf";\s*{name}=\"?([^\s;\">]+)", header, re.IGNORECASE)
    return found[1] if found else ""


def address(header: str) -> str:
    """The URI of a From, To or Contact."""
    found = re.search(r"<([^>]+)>", header)
    return found[1] if found else header.split(";", maxsplit=1)[0].strip()


def user_of(uri: str) -> str:
    found = re.match(r"sips?:([^@;]+)@", uri)
    return found[1] if found else ""


# --- digest ------------------------------------------------------------------------------------------------------

_HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def fields_of(challenge: str) -> dict[str, str]:
    """The fields of a WWW-Authenticate or Authorization header."""
    return {
        name.lower(): quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', challenge)
    }


def digest_response(fields: dict[str, str], user: str, password: str, method: str, uri: str) -> str:
    """Source: RFC 7616 §3.4.1 (with and without qop=auth)."""
    make = _HASHES[fields.get("algorithm", "MD5").upper()]

    def hashed(text: str) -> str:
        return make(text.encode()).hexdigest()

    secret, asked = hashed(f"{user}:{fields['realm']}:{password}"), hashed(f"{method}:{uri}")
    if "qop" not in fields:
        return hashed(f"{secret}:{fields['nonce']}:{asked}")
    return hashed(f"{secret}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:auth:{asked}")


def authorization(challenge: str, user: str, password: str, method: str, uri: str) -> str:
    """Answer a challenge."""
    fields = fields_of(challenge)
    if "qop" in fields:
        fields |= {"qop": "auth", "nc": "00000001", "cnonce": secrets.token_hex(8)}
    response = digest_response(fields, user, password, method, uri)
    parts = [f'username="{user}"', f'realm="{fields["realm"]}"', f'nonce="{fields["nonce"]}"', f'uri="{uri}"']
    parts += [f'response="{response}"', f"algorithm={fields.get('algorithm', 'MD5')}"]
    if "qop" in fields:
        parts += ["qop=auth", f"nc={fields['nc']}", f'cnonce="{fields["cnonce"]}"']
    if "opaque" in fields:
        parts.append(f'opaque="{fields["opaque"]}"')
    return "Digest " + ", ".join(parts)


# --- SDP ---------------------------------------------------------------------------------------------------------

#: Source: RFC 3551 §6 (table 4).
PAYLOAD_TYPES: Final = {"ulaw": 0, "alaw": 8, "g722": 9}
_NAMES: Final = {"ulaw": "PCMU/8000", "alaw": "PCMA/8000", "g722": "G722/8000"}
EVENT_TYPE: Final = 101


@dataclass(frozen=True, slots=True)
class Sdp:
    """Where audio goes, and how.

    Attributes:
        codecs: Those we know, in the other's order.
        event_type: The payload type of RFC 4733 events; None when there are none.
    """

    host: str
    port: int
    codecs: tuple[str, ...]
    ptime_ms: int = 20
    event_type: int | None = EVENT_TYPE

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        text = body.decode(errors="replace")
        audio = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", text, re.MULTILINE)
        host = re.search(r"^c=IN IP[46] (\S+)", text, re.MULTILINE)
        if audio is None or host is None:
            return None
        by_type = {number: name for name, number in PAYLOAD_TYPES.items()}
        codecs = tuple(by_type[number] for number in map(int, audio[2].split()) if number in by_type)
        ptime = re.search(r"^a=ptime:(\d+)", text, re.MULTILINE)
        event = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", text, re.MULTILINE)
        return cls(host[1], int(audio[1]), codecs, int(ptime[1]) if ptime else 20, int(event[1]) if event else None)

    def render(self) -> bytes:
        types = [PAYLOAD_TYPES[name] for name in self.codecs]
        lines = ["v=0", f"o=- 1 1 IN IP4 {self.host}", "s=-", f"c=IN IP4 {self.host}", "t=0 0"]
        events = [] if self.event_type is None else [self.event_type]
        lines.append(f"m=audio {self.port} RTP/AVP {' '.join(map(str, [*types, *events]))}")
        lines += [f"a=rtpmap:{number} {_NAMES[name]}" for name, number in zip(self.codecs, types, strict=True)]
        lines += [f"a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} 0-16" for number in events]
        lines += [f"a=ptime:{self.ptime_ms}", "a=sendrecv", ""]
        return "\r\n".join(lines).encode()

    def answer(self, host: str, port: int, known: Sequence[str], ptime_ms: int) -> Sdp | None:
        """Our answer to this offer: the first of our codecs that it has."""
        common = [name for name in known if name in self.codecs]
        return Sdp(host, port, (common[0],), ptime_ms, self.event_type) if common else None
