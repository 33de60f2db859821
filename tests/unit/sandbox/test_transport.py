from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.network.connection.tcpabridged import AbridgedPacketCodec
from telethon.network.connection.tcpfull import FullPacketCodec
from telethon.network.connection.tcpintermediate import IntermediatePacketCodec, RandomizedIntermediatePacketCodec

from gateway.sandbox.transport import MAX_PACKET, TransportError, recognise

CODECS = [AbridgedPacketCodec, FullPacketCodec, IntermediatePacketCodec]


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize("codec_type", CODECS)
@pytest.mark.parametrize("size", [24, 504, 508, 512, 70_000])
async def test_what_a_client_packs_is_read(codec_type: type, size: int) -> None:
    codec = codec_type(None)
    packets = [os.urandom(size) for _ in range(3)]
    transport = await recognise(stream((codec.tag or b"") + b"".join(codec.encode_packet(each) for each in packets)))
    assert [await transport.read() for _ in packets] == packets


@pytest.mark.parametrize("codec_type", CODECS)
@pytest.mark.parametrize("size", [4, 504, 508, 70_000])
async def test_what_the_server_packs_is_read_by_a_client(codec_type: type, size: int) -> None:
    codec = codec_type(None)
    transport = await recognise(stream((codec.tag or b"") + codec.encode_packet(bytes(24))))
    packets = [os.urandom(size) for _ in range(3)]
    received = stream(b"".join(transport.pack(each) for each in packets))
    assert [await codec.read_packet(received) for _ in packets] == packets


async def test_padding_is_cut_off() -> None:
    codec = RandomizedIntermediatePacketCodec(None)
    packets = [os.urandom(40) for _ in range(20)]
    sent = b"\xdd" * 4 + b"".join(codec.encode_packet(each) for each in packets)
    transport = await recognise(stream(sent))
    assert [await transport.read() for _ in packets] == packets


async def test_a_damaged_packet_is_refused() -> None:
    packed = bytearray(FullPacketCodec(None).encode_packet(os.urandom(40)))
    packed[20] ^= 1
    transport = await recognise(stream(bytes(packed)))
    with pytest.raises(TransportError, match="checksum"):
        await transport.read()


async def test_a_claimed_length_is_not_believed() -> None:
    transport = await recognise(stream(b"\xee" * 4 + (MAX_PACKET + 1).to_bytes(4, "little")))
    with pytest.raises(TransportError):
        await transport.read()


@given(st.binary(max_size=200))
async def test_rubbish_ends_as_a_foreseen_error(data: bytes) -> None:
    with pytest.raises((TransportError, asyncio.IncompleteReadError)):  # noqa: PT012
        transport = await recognise(stream(data))
        while True:
            await transport.read()
