"""Our files in Asterisk's configuration folder, written through AMI: `siptg_line<id>.conf`, one a line.

One file a line, because AMI writes a file row by row: with 600 lines in one file each change took 0.2 s and the first
filling over a minute. A change is one message, or a few into a draft that the last one turns into the file; either way
the file is replaced whole, and no section of another line is near it.

Source: main/manager.c (action_updateconfig). Options that AMI's own grammar would stumble over (a leading ">", line
breaks) are kept out by `grammar` and by `ami`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Final

import structlog

from gateway.errors import GatewayError
from gateway.provisioning.ami import MESSAGE_LINES, Ami, AmiError, Fields
from gateway.provisioning.render import Section

log = structlog.get_logger(__name__)

INCLUDING: Final = "pjsip.conf"
INCLUDED: Final = "siptg_line*.conf"
#: An empty file to begin from, and one to work on; neither is included anywhere.
BLANK: Final = "siptg_blank.conf"
DRAFT: Final = "siptg_draft.conf"

_OURS: Final = re.compile(r"line(?P<id>[1-9][0-9]{0,17})(?:-auth|-reg|-identify(?:-[0-9a-z.:/-]+)?)?")
_LINE: Final = re.compile(r"line-(?P<category>\d+)-\d+")

Files = dict[int, tuple[Section, ...]]


def file_name(line_id: int) -> str:
    return f"siptg_line{line_id}.conf"


async def read(ami: Ami) -> Files:
    """The sections of all our lines, as Asterisk finds them in its files now. Raises `GatewayError`."""
    try:
        [answer] = await ami.act("GetConfig", Filename=INCLUDING)
    except AmiError as error:
        raise GatewayError(f"Asterisk can't read its {INCLUDING} ({error}).") from error
    files: Files = {}
    for section in _sections(answer):
        if found := _OURS.fullmatch(section.name):
            line_id = int(found["id"])
            files[line_id] = (*files.get(line_id, ()), section)
    return files


async def prepare(ami: Ami) -> None:
    """See that our two working files are there. Raises `GatewayError`."""
    for name in (BLANK, DRAFT):
        await _make(ami, name)
    try:
        await ami.act("GetConfig", Filename=BLANK)
    except AmiError as error:
        raise GatewayError(
            f"Asterisk can't make files in its configuration folder ({error}). Let its user write there."
        ) from error


async def _make(ami: Ami, name: str) -> None:
    """See that a file is there: AMI writes only what it finds."""
    with contextlib.suppress(AmiError):  # there already, or the folder can't be written: the next action tells
        await ami.act("CreateConfig", Filename=name)


async def write(ami: Ami, line_id: int, sections: Iterable[Section]) -> None:
    """Replace a line's file; no sections leave it empty. Raises `GatewayError`."""
    await _make(ami, file_name(line_id))
    messages = list(_messages(sections))
    source = BLANK
    for index, fields in enumerate(messages):
        target = file_name(line_id) if index == len(messages) - 1 else DRAFT
        frame = {"Action": "UpdateConfig", "SrcFilename": source, "DstFilename": target}
        try:
            await ami.send(frame | fields)
        except AmiError as error:
            raise GatewayError(f"Asterisk does not write {target} ({error}).") from error
        source = DRAFT


def _messages(sections: Iterable[Section]) -> Iterator[dict[str, str]]:
    """The numbered actions that make these sections, cut to what a message may hold."""
    fields: dict[str, str] = {}
    index = 0
    for action in _actions(sections):
        if len(fields) + len(action) > MESSAGE_LINES - 4:
            yield fields
            fields, index = {}, 0
        fields |= {f"{key}-{index:06d}": value for key, value in action.items()}
        index += 1
    yield fields


def _actions(sections: Iterable[Section]) -> Iterator[dict[str, str]]:
    """Make each section under a name of its own, and only then give it its name.

    An endpoint and its AOR have one name, and what is appended to a name goes to every section that bears it.
    """
    for section in sections:
        draft = f"{section.name}~{section.type}"
        yield {"Action": "NewCat", "Cat": draft}
        for option, value in section.options:
            yield {"Action": "Append", "Cat": draft, "Var": option, "Value": value}
        yield {"Action": "RenameCat", "Cat": draft, "Value": section.name}


def _sections(answer: Fields) -> Iterator[Section]:
    names: dict[str, str] = {}
    options: dict[str, list[tuple[str, str]]] = {}
    for field, value in answer.items():
        if field.startswith("category-"):
            names[field.removeprefix("category-")] = value
        elif found := _LINE.fullmatch(field):
            option, _, text = value.partition("=")
            options.setdefault(found["category"], []).append((option, text))
    for number, name in names.items():
        yield Section(name, tuple(options.get(number, ())))


def running(answers: Iterable[Fields]) -> dict[tuple[str, str], Fields]:
    """The objects in AMI's replies, by type and name."""
    return {
        (one["objecttype"], one["objectname"]): one for one in answers if "objecttype" in one and "objectname" in one
    }
