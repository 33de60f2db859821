"""One Asterisk for each module's tests, with a telephone on line 1 and a PBX without registration on line 2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gateway.sandbox.phone import ANSWER, Phone
from tests.asterisk_fixtures import Place, asterisk, emptied, left_in, place, registering_line, trunk_line

#: What an engineer added, for the tests of the hooks.
CUSTOM = """[siptg-in-custom]
exten => 500,1,Goto(siptg-telegram,alias500,1)

[siptg-out-custom]
exten => 777,1,Set(SIPTG_NUMBER=888)
 same => n,Set(SIPTG_CALLER_NAME=changed)
 same => n,Goto(siptg-dial,s,1)

[siptg-refused-custom]
exten => no_line,1,PJSIPHangup(410)

[siptg-headers-custom]
exten => s,1,Set(PJSIP_HEADER(add,X-Engineer)=was here)
 same => n,Return()
"""


@dataclass(kw_only=True)
class Here(Place):
    """`pbx` is what line 2 reaches."""

    pbx: Phone


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Here]:
    state = tmp_path_factory.mktemp("asterisk")
    (state / "etc/siptg-custom").mkdir(parents=True)
    (state / "etc/siptg-custom/extensions_test.conf").write_text(CUSTOM)
    # The PBX has an address of its own on loopback, by which it is known.
    async with Phone("pbx", host="127.0.0.2", server=("127.0.0.1", 9)) as pbx:
        lines = registering_line(1) + trunk_line(2, pbx.host, pbx.port) + registering_line(3)
        async with asterisk(state, lines) as running, place(running) as p:
            pbx.server = (p.phone.server[0], p.phone.server[1])
            yield Here(p.asterisk, p.side, p.offers, p.phone, p.media, pbx=pbx)


@pytest_asyncio.fixture(loop_scope="module")
async def here(shared: Here) -> AsyncIterator[Here]:
    """The shared place, as new: and nothing may be left in Asterisk after the test."""
    shared.phone.behaviour, shared.phone.plays = ANSWER, None
    shared.phone.codecs, shared.phone.ptime_ms = ("ulaw", "alaw", "g722"), 20
    for queue in (shared.phone.came, shared.pbx.came, shared.offers.queue):
        while not queue.empty():
            queue.get_nowait()
    yield shared
    clean = await emptied(shared.side.ari)
    left = await left_in(shared.side.ari)
    for channel in await shared.side.ari.channels():
        await shared.side.ari.hang_up(channel.id, 16)  # the next test is not to blame
    assert clean, left
