"""Asterisk's end of a media channel, as a test plays it: tones as RTP in any packet length, and what came back."""

from __future__ import annotations

import asyncio
import socket

import numpy as np

from gateway.media import rtp
from gateway.media.codec import codec_for
from gateway.media.model import AudioFormat, RtpAddress
from tests.integration.tgcall.peer import Samples, tone


class Channel:
    """Sends one tone in real time while it is open, and keeps what it hears."""

    def __init__(self, audio_format: AudioFormat, worker: RtpAddress, hz: float, ptime_ms: int = 20) -> None:
        self.format = audio_format
        self.packets: list[rtp.RtpPacket] = []
        self.sent = self.lost = 0
        self.lose_every = 0
        self.worker = (worker.host, worker.port)
        self._bytes = ptime_ms * 8
        self._ptime_s = ptime_ms / 1000
        self._encoded = codec_for(audio_format).encode(tone(hz, 30.0, audio_format.rate_hz))
        self._writer = rtp.RtpWriter(audio_format.payload_type, int(hz), 65500, 2**32 - 4000)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)

    @property
    def address(self) -> RtpAddress:
        return RtpAddress(*self._socket.getsockname())

    def send(self, datagram: bytes | bytearray) -> None:
        self._socket.sendto(datagram, self.worker)

    async def talk(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for n in range(round(seconds / self._ptime_s)):
            at = (self.sent + self.lost) * self._bytes
            packet = self._writer.write(self._encoded[at : at + self._bytes])
            if self.lose_every and (self.sent + self.lost) % self.lose_every == self.lose_every // 2:
                self.lost += 1
            else:
                self.send(packet)
                self.sent += 1
            await asyncio.sleep(max(0.0, start + (n + 1) * self._ptime_s - loop.time()))
            self.listen()

    def listen(self) -> None:
        while True:
            try:
                packet = rtp.parse(memoryview(self._socket.recv(2048)))
            except BlockingIOError:
                return
            assert packet is not None
            self.packets.append(packet)

    @property
    def heard(self) -> Samples:
        ears = codec_for(self.format)
        return np.concatenate([ears.decode(packet.payload) for packet in self.packets])

    def close(self) -> None:
        self._socket.close()
