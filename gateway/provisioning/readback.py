"""Whether what Asterisk runs is what it was told, section by section. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.provisioning.render import Section

#: An object as Asterisk reports it over AMI: its type, its name, and its fields, whose names have capitals there.
Reported = Mapping[tuple[str, str], Mapping[str, str]]

#: Options whose running value is told in another form, or not at all; their objects are looked for all the same.
_UNTOLD: Final = frozenset({"type", "deny", "permit", "match", "send_connected_line"})


def difference(sections: Iterable[Section], reported: Reported) -> str | None:
    """Why Asterisk does not run these sections, in a sentence; None if it does."""
    for section in sections:
        fields = reported.get((section.type, section.name))
        if fields is None:
            return _missing(section)
        for option, value in section.options:
            field = "contacts" if option == "contact" else option.replace("_", "")
            if option not in _UNTOLD and fields.get(field, "").lower() != _told(section, option, value):
                return f"Asterisk keeps another value of {option} in [{section.name}] ({section.type})."
        transport = section.get("transport")
        if section.type == "endpoint" and transport and ("transport", transport) not in reported:
            return f"This gateway's Asterisk has no {transport}: it does not offer {transport.partition('-')[2]}."
    return None


def _missing(section: Section) -> str:
    if section.type == "identify" and (match := section.get("match")):
        return f"Asterisk can't find the address of {match}."
    return f"Asterisk does not take [{section.name}] ({section.type})."


def _told(section: Section, option: str, value: str) -> str:
    match option, value:
        case "allow", _:
            return f"({value.removeprefix('!all,').replace(',', '|')})"
        case "contact", _:
            return f"{section.name}/{value}".lower()
        case "media_encryption", _:
            return value
        case _, "yes":
            return "true"
        case _, "no":
            return "false"
        case _:
            return value.lower()
