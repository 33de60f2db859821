"""What a value of a line may be: allow-lists, and nothing else gets into Asterisk's configuration.

Each grammar reads the text that a person gave and answers the value in its one true form, or raises `GrammarError`
with a sentence that holds an example. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import regex

from gateway.call.model import DtmfMethod, Transport
from gateway.call.numbers import RULE_TIMEOUT_S, split_rule
from gateway.errors import GatewayError

CODECS: Final = ("g722", "alaw", "ulaw", "opus", "gsm")

#: A host name of RFC 1123 §2.1: labels of letters, digits and inner hyphens; the last one is no number.
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}")
_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
#: Printable ASCII without space, quotes, backslash, semicolon, backtick and angle brackets: what configuration
#: files, AMI (a leading ">") and SIP's quoted strings each give a meaning of their own.
_PASSWORD: Final = re.compile(r"[A-Za-z0-9!#$%&()*+,./:=?@\[\]^_{|}~-]{1,128}")
#: Only extension headers: a line must not claim calls by what every INVITE carries.
_HEADER: Final = re.compile(r"(X-[A-Za-z0-9-]{1,40}) ?: ?([A-Za-z0-9._@+-]{1,64})", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9A-Za-z*#+._-]{1,64}")
_FIELD: Final = re.compile(r"\{[^{}]*\}")
_TEMPLATE_TEXT: Final = re.compile(r"[0-9A-Za-z*#+._ ()-]*")

NAME_MAX: Final = 64
RULES_MAX: Final = 2000
TRUSTED_MAX: Final = 16
TEMPLATES_MAX: Final = 8
#: Wider networks than these would let half the Internet in.
WIDEST_IPV4: Final = 8
WIDEST_IPV6: Final = 32

CALLER_ID_FIELDS: Final = frozenset({"{phone}", "{username}", "{userid}"})
CALLER_NAME_FIELDS: Final = CALLER_ID_FIELDS | {"{name}", "{name_ascii}"}


class GrammarError(GatewayError):
    """A value is not of its form; the text is a sentence with an example."""


def name(text: str) -> str:
    """What a person calls the line. Never gets into Asterisk."""
    text = text.strip()
    if not 1 <= len(text) <= NAME_MAX or not text.isprintable():
        raise GrammarError(f"A name has 1 to {NAME_MAX} printable characters, such as “Head office”.")
    return text


def host(text: str) -> str:
    """An IP address or a host name."""
    text = text.strip().lower().removeprefix("[").removesuffix("]")
    try:
        return str(_plain_address(text))
    except ValueError:
        if len(text) <= 253 and _HOST.fullmatch(text):
            return text
    raise GrammarError("An address is a host name or an IP address, such as “pbx.example.com” or “203.0.113.5”.")


def port(text: str) -> int:
    if text.strip().isascii() and text.strip().isdecimal() and len(text) <= 8 and 0 < int(text) < 65536:
        return int(text)
    raise GrammarError("A port is a number from 1 to 65535, such as “5060”.")


def address(text: str) -> tuple[str, int | None]:
    """A host, and a port after a colon if it is not the usual one."""
    text = text.strip()
    before, colon, after = text.rpartition(":")
    if colon and (":" not in before or before.endswith("]")):
        return host(before), port(after)
    return host(text), None


def proxy(text: str) -> str:
    """An address in one piece, as `Line.proxy` has it; empty is none."""
    if not text.strip():
        return ""
    where, at = address(text)
    return join(where, at)


def join(where: str, at: int | None) -> str:
    """A host and a port as URIs have them: IPv6 in brackets."""
    where = f"[{where}]" if ":" in where else where
    return where if at is None else f"{where}:{at}"


def login(text: str) -> str:
    if _LOGIN.fullmatch(text.strip()):
        return text.strip()
    raise GrammarError("A login has up to 64 letters, digits and “. _ + -”, such as “100” or “office-7”.")


def password(text: str) -> str:
    if _PASSWORD.fullmatch(text):
        return text
    raise GrammarError(
        "A password has 1 to 128 letters, digits and “! # $ % & ( ) * + , - . / : = ? @ [ ] ^ _ { | } ~”,"
        " such as “Kx7-tR2m.Qp9”; no spaces, quotes, backslashes, semicolons or angle brackets."
    )


def trusted(text: str) -> tuple[str, ...]:
    """Addresses and subnets, apart by commas or spaces; empty is none."""
    networks: dict[str, None] = {}
    for word in re.split(r"[\s,]+", text.strip()):
        if word:
            networks[_network(word)] = None
    if len(networks) > TRUSTED_MAX:
        raise GrammarError(f"At most {TRUSTED_MAX} trusted addresses and subnets, such as “203.0.113.0/28”.")
    return tuple(networks)


def header(text: str) -> str:
    """`Field: Value` in its one form; empty is none."""
    if not text.strip():
        return ""
    if found := _HEADER.fullmatch(text.strip()):
        return f"{found[1]}: {found[2]}"
    raise GrammarError(
        "A header is “Field:Value” whose field begins with “X-” and whose value has letters, digits and “. _ @ + -”,"
        " such as “X-Line:office”."
    )


def codecs(text: str) -> tuple[str, ...]:
    """Codecs in order of preference."""
    if not text.strip():
        raise GrammarError("One codec at least must stay, such as “alaw”; take another one in first.")
    chosen = tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip().lower())))
    if all(codec in CODECS for codec in chosen):
        return chosen
    raise GrammarError(f"Codecs are some of “{','.join(CODECS)}” in the order you prefer, such as “g722,alaw,ulaw”.")


def dtmf(text: str) -> tuple[DtmfMethod, ...]:
    if not text.strip():
        raise GrammarError("One DTMF method at least must stay, such as “rfc4733”; take another one in first.")
    try:
        return tuple(dict.fromkeys(DtmfMethod(word) for word in re.split(r"[\s,]+", text.strip().lower())))
    except ValueError as error:
        raise GrammarError(
            "DTMF methods are some of “rfc4733,info,inband” in order, such as “rfc4733” or “rfc4733,info”."
        ) from error


def transport(text: str) -> Transport:
    try:
        return Transport(text.strip().lower())
    except ValueError as error:
        raise GrammarError("A transport is one of “udp”, “tcp” and “tls”.") from error


def priority(text: str) -> int:
    if text.strip().isascii() and text.strip().isdecimal() and len(text) <= 8 and 1 <= int(text) <= 99:
        return int(text)
    raise GrammarError("A priority is a number from 1 (rings first) to 99, such as “10”.")


def number(text: str) -> str:
    """A number on the PBX; empty is none."""
    text = text.strip()
    if not text or _NUMBER.fullmatch(text):
        return text
    raise GrammarError("A number has up to 64 digits, letters and “* # + . _ -”, such as “200”.")


def number_rules(text: str) -> str:
    """Rules of L5, one a line; a single “=” clears them."""
    rules = "\n".join(line for line in text.splitlines() if line)
    if rules.strip() == "=":
        return ""
    if len(rules) > RULES_MAX or not all(c.isprintable() or c == "\n" for c in rules):
        raise GrammarError(f"Number rules have up to {RULES_MAX} printable characters, such as “^8(?=\\d{{10}}$)=+7”.")
    for rule in rules.splitlines():
        pattern, replacement = split_rule(rule)
        try:
            regex.compile(pattern)
            if replacement is not None:
                # Made optional it matches even here, and only then is the replacement looked at.
                regex.sub(f"(?:{pattern})?", replacement, "", timeout=RULE_TIMEOUT_S)
        except (regex.error, IndexError, TimeoutError) as error:
            raise GrammarError(
                f"The rule “{rule}” is no regular expression ({error}). A good one is “^8(?=\\d{{10}}$)=+7”."
            ) from error
    return rules


def caller_ids(text: str) -> tuple[str, ...]:
    """Templates of L6, one a line."""
    return _templates(text, CALLER_ID_FIELDS, "0{userid}")


def caller_names(text: str) -> tuple[str, ...]:
    """Templates of L7, one a line."""
    return _templates(text, CALLER_NAME_FIELDS, "{name_ascii} (Telegram)")


def switch(text: str) -> bool:
    match text.strip().lower():
        case "yes" | "on" | "true" | "1":
            return True
        case "no" | "off" | "false" | "0":
            return False
        case _:
            raise GrammarError("Say “on” or “off”.")


#: The grammar of each field of a line that a person may set.
FIELDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "name": name,
    "enabled": switch,
    "login": login,
    "password": password,
    "host": host,
    "port": port,
    "proxy": proxy,
    "trusted": trusted,
    "header": header,
    "transport": transport,
    "srtp": switch,
    "codecs": codecs,
    "dtmf": dtmf,
    "priority": priority,
    "number": number,
    "number_rules": number_rules,
    "caller_ids": caller_ids,
    "caller_names": caller_names,
}


def _plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id:
        raise ValueError("a zone is of this host only")
    return found


def _network(word: str) -> str:
    example = "a trusted address is an IP address or a subnet, such as “203.0.113.5” or “203.0.113.0/28”."
    try:
        network = ipaddress.ip_network(word, strict=False)
        _plain_address(str(network.network_address))
    except ValueError as error:
        raise GrammarError(f"“{word[:64]!s}” won't do: {example}") from error
    if network.prefixlen < (WIDEST_IPV4 if network.version == 4 else WIDEST_IPV6):
        raise GrammarError(f"“{network}” is too wide: {example}")
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _templates(text: str, fields: frozenset[str], example: str) -> tuple[str, ...]:
    templates = tuple(line.strip() for line in text.splitlines() if line.strip())
    for template in templates:
        if any(found not in fields for found in _FIELD.findall(template)):
            break
        if not _TEMPLATE_TEXT.fullmatch(_FIELD.sub("", template)) or len(template) > NAME_MAX:
            break
    else:
        if 1 <= len(templates) <= TEMPLATES_MAX:
            return templates
    known = " ".join(sorted(fields))
    raise GrammarError(
        f"Give 1 to {TEMPLATES_MAX} templates, one a line, of {known} and plain letters, digits and signs,"
        f" such as “{example}”."
    )
