"""Whatever people write, Asterisk's configuration says what was meant and nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.call.model import Line
from gateway.provisioning import config
from gateway.provisioning.ami import AmiError, connected
from gateway.provisioning.grammar import GrammarError
from gateway.provisioning.render import render
from gateway.sip.embedded import Asterisk
from tests.unit.provisioning.lines import our_line, pbx_line, trunk

#: What configuration files, AMI, the dialplan and SIP each give a meaning.
SIGNS = "ab1.:/;=,[]{}()<>@ \\\"'`$#!~*|&%?^+-_\r\n\0\t\u2028é"
TEXTS = st.one_of(
    st.text(SIGNS, min_size=1, max_size=40),
    st.text("ab1.:/=,[]{}()@$#!~*|&%?^+-_", min_size=1, max_size=40),
    st.sampled_from(
        [
            "x\r\nAction: Originate\r\nApplication: System",
            "x\n[evil]\ntype=endpoint",
            "x;--comment",
            "#include /etc/passwd",
            "#exec /bin/sh",
            "x\\;y",
            "${SHELL(id)}",
            "a=>b",
            "[line1](+)",
            "x" * 128,
        ]
    ),
)
FIELDS = st.sampled_from(["password", "login", "host", "proxy", "header", "number", "name", "number_rules"])
KINDS = st.sampled_from([pbx_line(1001), our_line(1001), trunk(1001), trunk(1001, header="X-A: b")])

#: A neighbour in the same file: whatever is written, it must stay as it was.
NEIGHBOUR = pbx_line(1001 + config.FILES, password="x[y]=z,{w}")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=KINDS, field=FIELDS, text=TEXTS)
def test_any_text_is_refused_or_is_read_back_as_the_same_value_of_the_same_option(
    asterisk: Asterisk, line: Line, field: str, text: str
) -> None:
    try:
        sections = render(dataclasses.replace(line, **{field: text}))  # type: ignore[arg-type]
    except GrammarError:
        return
    asyncio.run(write_and_compare(asterisk, sections))


async def write_and_compare(asterisk: Asterisk, sections: tuple[object, ...]) -> None:
    wanted: config.Sections = {1001: sections, NEIGHBOUR.id: render(NEIGHBOUR)}  # type: ignore[dict-item]
    async with connected(asterisk.ami, lambda event: None) as ami:
        await config.write(ami, await config.read(ami), wanted)
        assert {line_id: found for line_id, found in (await config.read(ami)).items() if line_id in wanted} == wanted
        await config.write(ami, wanted, dict.fromkeys(wanted, ()))
    assert names_in(asterisk.config_dir) == set()


def names_in(folder: Path) -> set[str]:
    """Sections of our test lines that are left in any file, by Asterisk's own spelling."""
    text = "".join(file.read_text() for file in folder.glob("siptg_lines*.conf"))
    return {line for line in text.splitlines() if line.startswith(("[line100", "[line103"))}


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\0b", "x" * 2000])
async def test_what_would_become_another_field_of_ami_is_not_sent(asterisk: Asterisk, value: str) -> None:
    async with connected(asterisk.ami, lambda event: None) as ami:
        with pytest.raises(AmiError, match=r"line break|too long"):
            await ami.act("GetConfig", Filename=value)
        assert (await ami.act("Ping"))[0]["ping"] == "Pong"
