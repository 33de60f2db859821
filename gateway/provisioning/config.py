"""Our files in Asterisk's configuration folder, written through AMI: `siptg_lines_<n>.conf`, `n` from 0 to 31.

A change is made in a draft, and its last message turns the draft into the file: at no time is half a line in it.

Why so many files, and no more: AMI writes a file option by option, so that with 600 lines in one file each change took
0.2 s and the first filling over a minute; but with a file for each of them Asterisk's reload took four times as long.

Source: main/manager.c (action_updateconfig). What its grammar would stumble over (a leading ">", line breaks) is kept
out by `grammar` and by `ami`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.errors import GatewayError
from gateway.provisioning.ami import MESSAGE_LINES, Ami, AmiError, Fields
from gateway.provisioning.render import Section

INCLUDING: Final = "pjsip.conf"
INCLUDED: Final = "siptg_lines*.conf"
FILES: Final = 32
#: Worked on, and included nowhere.
DRAFT: Final = "siptg_draft.conf"

_OURS: Final = re.compile(r"line(?P<id>[1-9][0-9]{0,17})(?:-auth|-reg|-identify(?:-[0-9a-z.:/-]+)?)?")
_LINE: Final = re.compile(r"line-(?P<category>\d+)-\d+")

#: The sections of each line, by its id.
Sections = dict[int, tuple[Section, ...]]


async def read(ami: Ami) -> Sections:
    """The sections of all our lines, as Asterisk finds them in its files now. Raises `GatewayError`."""
    try:
        [answer] = await ami.act("GetConfig", Filename=INCLUDING)
    except AmiError as error:
        raise GatewayError(f"Asterisk can't read its {INCLUDING} ({error}).") from error
    found: Sections = {}
    for section in sections(answer):
        if ours := _OURS.fullmatch(section.name):
            line_id = int(ours["id"])
            found[line_id] = (*found.get(line_id, ()), section)
    return found


async def write(ami: Ami, before: Mapping[int, tuple[Section, ...]], after: Mapping[int, tuple[Section, ...]]) -> None:
    """Replace the sections of the lines in `after`, which are `before` now; none is none. Raises `GatewayError`."""
    for number in sorted({line_id % FILES for line_id in after}):
        mine = [line_id for line_id in after if line_id % FILES == number]
        actions = (action for line_id in mine for action in _actions(before.get(line_id, ()), after[line_id]))
        await change(ami, f"siptg_lines_{number}.conf", actions)


async def change(ami: Ami, name: str, actions: Iterable[Mapping[str, str]]) -> None:
    """Carry out these actions of UpdateConfig on one of our files, all of them or none. Raises `GatewayError`."""
    await _make(ami, DRAFT)
    await _make(ami, name)
    messages = list(_messages(actions))
    source = name
    for index, fields in enumerate(messages, 1):
        target = name if index == len(messages) else DRAFT
        frame = {"Action": "UpdateConfig", "SrcFilename": source, "DstFilename": target}
        try:
            await ami.send(frame | fields)
        except AmiError as error:
            raise GatewayError(
                f"Asterisk does not write {target} ({error}). Let its user write in its configuration folder."
            ) from error
        source = DRAFT


async def _make(ami: Ami, name: str) -> None:
    """See that a file is there: AMI writes only what it finds."""
    with contextlib.suppress(AmiError):  # there already; or the folder can't be written, and then the next action tells
        await ami.act("CreateConfig", Filename=name)


def _messages(actions: Iterable[Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """The actions, numbered, cut to what a message may hold."""
    fields: dict[str, str] = {}
    index = 0
    for action in actions:
        if len(fields) + len(action) > MESSAGE_LINES - 4:
            yield fields
            fields, index = {}, 0
        fields |= {f"{key}-{index:06d}": value for key, value in action.items()}
        index += 1
    yield fields


def _actions(before: Iterable[Section], after: Iterable[Section]) -> Iterator[dict[str, str]]:
    """Drop the old sections; make each new one under a name of its own, and only then give it its name.

    An endpoint and its AOR have one name, and what is appended to a name goes to every section that bears it; what is
    deleted by a name too.
    """
    for name in dict.fromkeys(section.name for section in before):
        yield {"Action": "DelCat", "Cat": name}
    for section in after:
        draft = f"{section.name}~{section.type}"
        yield {"Action": "NewCat", "Cat": draft}
        for option, value in section.options:
            yield {"Action": "Append", "Cat": draft, "Var": option, "Value": value}
        yield {"Action": "RenameCat", "Cat": draft, "Value": section.name}


def sections(answer: Fields) -> Iterator[Section]:
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
