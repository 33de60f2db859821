"""The telephone that other tests trust: two of them, without anything between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from gateway.media.codec import codec_for
from gateway.media.model import AudioFormat
from gateway.sandbox import audio
from gateway.sandbox.phone import BUSY, DECLINE, RING, Behaviour, Phone, PhoneError
from gateway.sandbox.phone.message import Message, Sdp, authorization, digest_response, fields_of
from gateway.sandbox.phone.sound import _TO_PCM, _companded, rate_of
from tests.asterisk_fixtures import eventually

Pair = tuple[Phone, Phone]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A caller and whom he calls."""
    async with Phone("bob") as bob, Phone("ann", server=("127.0.0.1", bob.port)) as ann:
        bob.server = ("127.0.0.1", ann.port)
        yield ann, bob


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "g722"])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40])
async def test_two_telephones_hear_each_other(pair: Pair, codec: str, ptime_ms: int) -> None:
    ann, bob = pair
    ann.ptime_ms = bob.ptime_ms = ptime_ms
    bob.plays = audio.tone(900, 1, rate_of(codec))
    call = ann.call("bob", codecs=(codec,), play=audio.tone(600, 1, rate_of(codec)))
    await call.answered()
    came = await bob.came.get()
    await asyncio.sleep(0.3)
    for heard, hz in ((call.sound, 900), (came.sound, 600)):
        pcm = heard.pcm()
        assert audio.tone_share(pcm[len(pcm) // 3 :], rate_of(codec), hz) > 0.95
        assert {len(packet.payload) for packet in heard.heard} == {8 * ptime_ms}
        assert len(heard.heard) >= 0.2 / (ptime_ms / 1000)
    ended, _ = await asyncio.gather(came.ended(), call.hang_up())
    assert ended.by == "them"


async def test_the_first_codec_that_the_callee_likes_is_taken(pair: Pair) -> None:
    ann, bob = pair
    bob.codecs = ("g722", "alaw")
    call = ann.call("bob", codecs=("ulaw", "alaw", "g722"))
    await call.answered()
    assert call.sound.codec == "g722"
    await call.hang_up()


@pytest.mark.parametrize(
    ("behaviour", "code"), [(BUSY, 486), (DECLINE, 603), (Behaviour(refuse=404, answer_after_s=0.05), 404)]
)
async def test_a_refusal_is_told_with_its_code(pair: Pair, behaviour: Behaviour, code: int) -> None:
    ann, bob = pair
    bob.behaviour = behaviour
    call = ann.call("bob")
    with pytest.raises(PhoneError) as refused:
        await call.answered()
    assert refused.value.response is not None
    assert refused.value.response.code == code
    assert (await call.ended()).code == code


async def test_no_common_codec_is_488(pair: Pair) -> None:
    ann, bob = pair
    bob.codecs = ("alaw",)
    assert (await ann.call("bob", codecs=("ulaw",)).ended()).code == 488


async def test_a_ringing_call_is_cancelled_by_the_caller(pair: Pair) -> None:
    ann, bob = pair
    bob.behaviour = RING
    call = ann.call("bob")
    await call.ringing()
    came = await bob.came.get()
    assert (await call.hang_up()).code == 487
    assert (await came.ended()).message.method == "CANCEL"
    assert not ann.calls
    assert not bob.calls


async def test_early_media_is_heard_before_the_answer(pair: Pair) -> None:
    ann, bob = pair
    bob.behaviour = Behaviour(early_media=True, answer_after_s=None)
    bob.plays = audio.tone(440, 1, 8000)
    call = ann.call("bob", codecs=("ulaw",))
    await call.ringing()
    await eventually(lambda: len(call.sound.heard) > 5)
    assert call.answered_at is None
    await call.hang_up()


async def test_digits_come_out_once_each_and_in_order(pair: Pair) -> None:
    ann, bob = pair
    call = ann.call("bob")
    await call.answered()
    came = await bob.came.get()
    call.sound.send_digits("1100*#", each_ms=40)
    await eventually(lambda: len(came.sound.digits) == 6)
    assert came.sound.digits == "1100*#"
    await call.hang_up()


async def test_a_registration_needs_the_password() -> None:
    async with Phone("pbx", registrar_password="right") as pbx:
        server = ("127.0.0.1", pbx.port)
        async with Phone("ann", "right", server) as ann, Phone("eve", "wrong", server) as eve:
            await ann.register()
            with pytest.raises(PhoneError, match="401"):
                await eve.register()
            assert set(pbx.registrations) == {"ann"}


async def test_a_request_that_comes_twice_is_answered_alike_and_once(pair: Pair) -> None:
    ann, bob = pair
    call = ann.call("bob")
    await call.answered()
    ann.send(call.invite)
    ann.send(call.invite)
    await asyncio.sleep(0.1)
    assert bob.came.qsize() == 1
    await call.hang_up()


def test_a_message_is_read_as_it_was_written() -> None:
    message = Message("INVITE", "sip:a@b", headers=[("Via", "x;branch=1"), ("CSeq", "7 INVITE")], body=b"v=0\r\n")
    read = Message.parse(message.render())
    assert read is not None
    assert (read.method, read.uri, read.branch, read.cseq, read.body) == (
        "INVITE",
        "sip:a@b",
        "1",
        (7, "INVITE"),
        b"v=0\r\n",
    )


def test_compact_and_folded_headers_are_understood() -> None:
    read = Message.parse(b"SIP/2.0 200 OK\r\nf: <sip:a@b>\r\nX-Long: one\r\n two\r\nl: 0\r\n\r\n")
    assert read is not None
    assert (read.get("From"), read.get("X-Long")) == ("<sip:a@b>", "one two")


@pytest.mark.parametrize("rubbish", [b"", b"\r\n\r\n", b"\0" * 40, b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 x y\r\n\r\n"])
def test_what_is_not_sip_is_nothing(rubbish: bytes) -> None:
    assert Message.parse(rubbish) is None


def test_the_digest_is_that_of_the_standard() -> None:
    """Source: RFC 7616 §3.9.1."""
    fields = {
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
        "algorithm": "MD5",
    }
    answer = digest_response(fields, "Mufasa", "Circle of Life", "GET", "/dir/index.html")
    assert answer == "8ca523f5e9506fed4657c9700eebdbec"
    fields["algorithm"] = "SHA-256"
    answer = digest_response(fields, "Mufasa", "Circle of Life", "GET", "/dir/index.html")
    assert answer == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def test_a_challenge_is_answered_with_its_own_fields() -> None:
    given = fields_of(authorization('Digest realm="r", nonce="n", opaque="o", qop="auth"', "u", "p", "INVITE", "sip:x"))
    assert (given["username"], given["realm"], given["opaque"], given["qop"]) == ("u", "r", "o", "auth")


def test_an_offer_is_read_as_it_was_written() -> None:
    offer = Sdp("192.0.2.1", 4000, ("g722", "ulaw"), 30)
    assert Sdp.parse(offer.render()) == offer


@pytest.mark.parametrize("name", ["ulaw", "alaw"])
def test_the_tables_agree_with_those_of_the_gateway(name: str) -> None:
    theirs = codec_for(AudioFormat(name))
    everything = bytes(range(256))
    ours = _TO_PCM[AudioFormat(name).payload_type]
    assert np.array_equal(ours, theirs.decode(memoryview(everything)))
    sound = audio.tone(440, 0.1, 8000, -3)
    back = ours.take(np.frombuffer(_companded(name, sound.tobytes()), np.uint8)).astype(int)
    also = ours.take(np.frombuffer(theirs.encode(sound), np.uint8)).astype(int)
    assert np.abs(back - sound).max() <= np.abs(also - sound).max() + 1
