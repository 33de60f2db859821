"""A line, as Asterisk's pjsip wants it: sections of named options. Pure.

Names: `line<id>` is the endpoint and its AOR as well, because the user of a REGISTER's To picks the AOR;
`line<id>-auth`, `line<id>-reg` and `line<id>-identify` go with it. A trunk that is known by its addresses has a
`line<id>-identify-<source>` for each of them: of one that Asterisk can't find it would keep the old section.

Source: https://docs.asterisk.org/Configuration/Channel-Drivers/SIP/Configuring-res_pjsip/ (options of each type).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.call.model import DtmfMethod, Line, LineKind, Transport
from gateway.provisioning import grammar
from gateway.provisioning.check import checked, is_address, sources

#: An unanswered line is noticed within this, and a NAT on the way keeps its binding.
QUALIFY_S: Final = 30
#: A PBX that lost its power comes back within a minute; an hour's registration would hide it.
MAXIMUM_EXPIRATION_S: Final = 600
#: Registering with a PBX: often enough that NATs on the way keep the binding.
EXPIRATION_S: Final = 120
RETRY_S: Final = 30
#: After a refusal: seldom enough not to be banned for guessing passwords.
REFUSED_RETRY_S: Final = 300
#: Enough for weeks; Asterisk stops for good after ten by itself.
MAX_RETRIES: Final = 100_000
#: No RTP for so long in a conversation: the PBX is gone. On hold it may be silent longer.
RTP_TIMEOUT_S: Final = 60
RTP_TIMEOUT_HOLD_S: Final = 900

#: Of every endpoint, whatever its kind; what is Asterisk's default is left out, because every option of 600 lines is
#: read again at each reload.
_ALWAYS: Final = (
    ("context", "siptg-in"),
    ("direct_media", "no"),  # the audio goes through us
    ("rtp_symmetric", "yes"),
    ("rewrite_contact", "yes"),
    ("rtp_timeout", str(RTP_TIMEOUT_S)),
    ("rtp_timeout_hold", str(RTP_TIMEOUT_HOLD_S)),
    ("trust_id_inbound", "yes"),
    ("trust_id_outbound", "yes"),
    ("send_pai", "yes"),  # carries Telegram's name for an error on a refusal, and the caller on a call
    ("send_connected_line", "no"),  # which would cost a re-INVITE right after each answer
    ("allow_transfer", "no"),
    ("allow_subscribe", "no"),
    ("allow_overlap", "no"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a configuration file; the first option is its type."""

    name: str
    options: tuple[tuple[str, str], ...]

    @property
    def type(self) -> str:
        return self.options[0][1]

    def get(self, option: str) -> str:
        """The option's value, or an empty text."""
        return dict(self.options).get(option, "")


def render(line: Line) -> tuple[Section, ...]:
    """The line's sections; none if it is switched off. Raises `GrammarError` rather than render what is not checked."""
    if not line.enabled:
        return ()
    line = checked(line)
    match line.kind:
        case LineKind.PBX_REGISTERS:
            return _pbx_registers(line)
        case LineKind.WE_REGISTER:
            return _we_register(line)
        case LineKind.TRUNK:
            return _trunk(line)


def _pbx_registers(line: Line) -> tuple[Section, ...]:
    # No `transport`: Asterisk answers by the connection that the PBX opened.
    endpoint = _endpoint(line, ("auth", f"{line.endpoint}-auth"), ("identify_by", "auth_username"), *_acl(line.trusted))
    aor = _section(
        line.endpoint,
        "aor",
        ("max_contacts", "1"),
        ("remove_existing", "yes"),  # a PBX that restarted registers from another port
        ("maximum_expiration", str(MAXIMUM_EXPIRATION_S)),
        ("qualify_frequency", str(QUALIFY_S)),
    )
    return endpoint, aor, _auth(line)


def _we_register(line: Line) -> tuple[Section, ...]:
    auth = f"{line.endpoint}-auth"
    at = grammar.join(line.host, line.port)
    proxy = _proxy(line)
    endpoint = _endpoint(
        line,
        ("transport", _transport(line)),
        ("outbound_auth", auth),
        ("identify_by", "ip"),  # and by the `line` parameter of the Contact that we register
        ("from_user", line.login),
        ("from_domain", grammar.join(line.host, None)),
        *proxy,
    )
    # Not qualified: providers that don't answer OPTIONS would count as unreachable, and calls to them be refused.
    aor = _section(line.endpoint, "aor", ("contact", _uri(line)))
    registration = _section(
        f"{line.endpoint}-reg",
        "registration",
        ("endpoint", line.endpoint),
        ("line", "yes"),
        ("transport", _transport(line)),
        ("outbound_auth", auth),
        ("server_uri", _uri(line)),
        ("client_uri", f"sip:{line.login}@{at}"),
        ("contact_user", line.login),
        ("expiration", str(EXPIRATION_S)),
        ("max_random_initial_delay", "1"),
        ("retry_interval", str(RETRY_S)),
        ("forbidden_retry_interval", str(REFUSED_RETRY_S)),
        ("fatal_retry_interval", str(REFUSED_RETRY_S)),
        ("max_retries", str(MAX_RETRIES)),
        *proxy,
    )
    return endpoint, aor, _auth(line), registration


def _trunk(line: Line) -> tuple[Section, ...]:
    aor = _section(line.endpoint, "aor", ("contact", _uri(line)), ("qualify_frequency", str(QUALIFY_S)))
    if line.header:
        # `match` beside `match_header` would let either do; so the header picks the line, and the ACL its sources.
        known = tuple(source for source in sources(line) if is_address(source.partition("/")[0]))
        by: tuple[tuple[str, str], ...] = (("identify_by", "header"), *_acl(known))
        rules = [_identify(line, f"{line.endpoint}-identify", ("match_header", line.header))]
    else:
        by = (("identify_by", "ip"),)
        rules = [_identify(line, f"{line.endpoint}-identify-{source}", ("match", source)) for source in sources(line)]
    return _endpoint(line, ("transport", _transport(line)), *by), aor, *rules


def _identify(line: Line, name: str, rule: tuple[str, str]) -> Section:
    return _section(name, "identify", ("endpoint", line.endpoint), rule)


def _endpoint(line: Line, *options: tuple[str, str]) -> Section:
    return _section(
        line.endpoint,
        "endpoint",
        ("aors", line.endpoint),
        *_ALWAYS,
        ("allow", ",".join(("!all", *line.codecs))),
        ("dtmf_mode", dtmf_mode(line.dtmf)),
        ("media_encryption", "sdes" if line.srtp else "no"),
        *options,
    )


def _auth(line: Line) -> Section:
    who = (("username", line.login), ("password", line.password))
    return _section(f"{line.endpoint}-auth", "auth", ("auth_type", "userpass"), *who)


def _section(name: str, kind: str, *options: tuple[str, str]) -> Section:
    return Section(name, (("type", kind), *options))


def _acl(trusted: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return (("deny", "0.0.0.0/0,::/0"), ("permit", ",".join(trusted))) if trusted else ()


def _transport(line: Line) -> str:
    return f"transport-{line.transport.value}"


def _by(transport: Transport) -> str:
    """As a URI says it; UDP is what it means without saying."""
    return "" if transport is Transport.UDP else f";transport={transport.value}"


def _uri(line: Line) -> str:
    return f"sip:{grammar.join(line.host, line.port)}{_by(line.transport)}"


def _proxy(line: Line) -> tuple[tuple[str, str], ...]:
    # `lr`: a loose route, which keeps the request's own address (RFC 3261 §19.1.1).
    return (("outbound_proxy", f"sip:{line.proxy}{_by(line.transport)};lr"),) if line.proxy else ()


def dtmf_mode(methods: tuple[DtmfMethod, ...]) -> str:
    """Asterisk's word for a list of methods: it knows RFC 4733 with one fallback, or one method alone."""
    match methods:
        case (DtmfMethod.RFC4733, DtmfMethod.INFO, *_):
            return "auto_info"
        case (DtmfMethod.RFC4733, DtmfMethod.INBAND, *_):
            return "auto"
        case (first, *_):
            return first.value
        case _:
            return DtmfMethod.RFC4733.value
