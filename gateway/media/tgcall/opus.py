"""Opus by libopus itself: a coder that adapts, and a decoder that conceals and restores.

The Python packages for it lack forward error correction and concealment, or copy each frame several times; what is
needed of the library is a handful of functions.

Source: RFC 6716 (the codec), RFC 7587 (its RTP payload), https://opus-codec.org/docs/opus_api-1.3.1/.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import pathlib
import sys
from typing import Any, Final, NamedTuple

import numpy as np

from .model import FRAME_MS, EngineError, Pcm

#: The folder where libopus is, if the system has none.
FOLDER_VARIABLE: Final = "TGCALL_LIBOPUS"
SYSTEM_NAME: Final = "libopus.so.0"

RATES_HZ: Final = (8000, 12000, 16000, 24000, 48000)
LONGEST_PACKET_MS: Final = 120
#: A packet of 120 ms at the highest rate. Source: RFC 6716 §3.4.
LONGEST_PACKET: Final = 1275 * 6 + 7
_LONGEST_SENT: Final = 1000
#: A packet this short holds no audio: the peer rests. Source: RFC 6716 §2.1.9 (DTX).
LONGEST_REST: Final = 2

_APPLICATION_AUDIO: Final = 2049
_VOICE: Final = 3001
_MUSIC: Final = 3002
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS: Final = 4014
_SET_DTX: Final = 4016
_SET_SIGNAL: Final = 4024
_SET_GAIN: Final = 4034

#: Frame sizes in ticks of 48 kHz, by configuration number. Source: RFC 6716 §3.1, table 2.
_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
FIRST_CELT_ONLY: Final = 16
#: A frame's length takes a second byte from here on. Source: RFC 6716 §3.2.1.
_LONG_LENGTH: Final = 252
_FRAME_TICKS: Final = _SILK * 3 + _HYBRID * 2 + _CELT * 4


@functools.cache
def load_libopus() -> ctypes.CDLL:
    """Find and open libopus: in the folder of `TGCALL_LIBOPUS`, where the system keeps it, or in Python's own prefix.

    The last is for a virtual environment that brings the library along, on a system without it.

    Raises:
        EngineError: There is none.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    names = [str(path) for path in sorted(pathlib.Path(folder).glob("libopus.so*"))] if folder else []
    names += [name for name in (ctypes.util.find_library("opus"), SYSTEM_NAME) if name]
    names.append(f"{sys.prefix}/lib/{SYSTEM_NAME}")
    for name in names:
        try:
            return _declare(ctypes.CDLL(name))
        except OSError:
            continue
    raise EngineError(f"libopus was not found: install the system's package, or set {FOLDER_VARIABLE}")


def _declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    error = ctypes.POINTER(ctypes.c_int)
    signatures: dict[str, tuple[list[Any], Any]] = {
        "opus_encoder_create": ([ctypes.c_int32, integer, integer, error], pointer),
        "opus_encoder_destroy": ([pointer], None),
        "opus_encode": ([pointer, ctypes.c_char_p, integer, pointer, ctypes.c_int32], ctypes.c_int32),
        "opus_decoder_create": ([ctypes.c_int32, integer, error], pointer),
        "opus_decoder_destroy": ([pointer], None),
        "opus_decode": ([pointer, ctypes.c_char_p, ctypes.c_int32, pointer, integer, integer], integer),
        # Variadic: what follows is converted by hand.
        "opus_encoder_ctl": ([pointer, integer], integer),
        "opus_decoder_ctl": ([pointer, integer], integer),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(lib, name)
        function.argtypes = arguments
        function.restype = result
    return lib


def _bare(lib: ctypes.CDLL, name: str) -> Any:
    """A function of the library without declared arguments, which to convert costs as much as the call.

    Whoever calls it gives bytes, small numbers, and pointers as `c_void_p`; it answers an int.
    """
    return lib[name]


def packet_ticks(packet: bytes) -> int:
    """How long a packet plays, in ticks of 48 kHz; 0 if it is no Opus packet.

    Source: RFC 6716 §3.1 and §3.2.
    """
    if not packet:
        return 0
    frame = _FRAME_TICKS[packet[0] >> 3]
    code = packet[0] & 3
    count = min(code + 1, 2)
    if code == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    ticks = frame * count
    return ticks if ticks <= LONGEST_PACKET_MS * 48 else 0


def redundancy_ticks(packet: bytes) -> int:
    """How much of the audio before it a packet can restore, in ticks of 48 kHz; 0 without redundancy.

    Only the packet's first frame carries it, and only SILK has it: for its last frame before.

    Source: RFC 6716 §3.2 (where the first frame begins) and §4.2.3 (the flags at its beginning).
    """
    if not packet_ticks(packet) or packet[0] >> 3 >= FIRST_CELT_ONLY:
        return 0
    at = _first_frame_at(packet)
    if at >= len(packet):
        return 0
    frame = _FRAME_TICKS[packet[0] >> 3]
    inner_frames = max(1, frame // 960)
    stereo = packet[0] & 4
    flags = packet[at] >> (7 - inner_frames) & 1
    if stereo:
        flags |= packet[at] >> max(0, 6 - 2 * inner_frames) & 1
    return frame if flags else 0


def _first_frame_at(packet: bytes) -> int:
    """Behind the lengths and the padding's length; may lie beyond the end of a malformed packet."""
    code = packet[0] & 3
    if code < 2:
        return 1
    if code == 2:
        return 2 + (len(packet) > 1 and packet[1] >= _LONG_LENGTH)
    at, lengths = 2, (packet[1] & 0x3F) - 1 if packet[1] & 0x80 else 0
    if packet[1] & 0x40:
        while at < len(packet) and packet[at] == 0xFF:
            at += 1
        at += 1
    for _ in range(lengths):
        at += 1 + (at < len(packet) and packet[at] >= _LONG_LENGTH)
    return at


class Effort(NamedTuple):
    """What the coder is told.

    Attributes:
        signal: "Music" is libopus' word for its transform coder, which takes bits instead of effort; "voice" for the
            model of speech, the only one with redundancy and DTX. It changes between them without a click.
        bitrate: In bit/s.
        complexity: 0..10: what the processor spends.
        loss: What is to be expected, in percent; the redundancy follows from it.
    """

    signal: int
    bitrate: int
    complexity: int
    loss: int


class OpusEncoder:
    """Codes frames of 20 ms.

    On a good line bits do what effort would, and nothing is spent on redundancy. When the peer reports loss, redundancy
    is added together with the bits that carry it, for out of the same bits it costs more quality than it saves.
    """

    #: By rate: on a good line, on a good line with DTX, and on a bad one. libopus adds redundancy only above some
    #: 18 kbit/s (8 kHz) and 29 kbit/s (16 kHz); to expect more loss makes it spend too much on it, at 10 % loss too.
    #: Measured in PESQ: docs/performance.md.
    EFFORTS: Final = {
        8000: (Effort(_MUSIC, 36_000, 0, 0), Effort(_VOICE, 24_000, 1, 0), Effort(_VOICE, 32_000, 1, 5)),
        16000: (Effort(_MUSIC, 48_000, 5, 0), Effort(_VOICE, 36_000, 1, 0), Effort(_VOICE, 40_000, 5, 5)),
    }
    _OTHERS: Final = (Effort(_MUSIC, 64_000, 5, 0), Effort(_VOICE, 40_000, 5, 0), Effort(_VOICE, 48_000, 5, 5))
    #: From here on redundancy gains: measured at 1 %.
    LOSSY_FROM: Final = 0.01

    def __init__(self, rate_hz: int, dtx: bool = False) -> None:
        self._lib = load_libopus()
        error = ctypes.c_int()
        create = self._lib.opus_encoder_create
        self._state = ctypes.c_void_p(create(rate_hz, 1, _APPLICATION_AUDIO, ctypes.byref(error)))
        if error.value:
            raise EngineError(f"libopus refused to code at {rate_hz} Hz")
        self._frame = rate_hz * FRAME_MS // 1000
        good, sparing, self._bad = self.EFFORTS.get(rate_hz, self._OTHERS)
        self._good = sparing if dtx else good
        self._buffer = ctypes.create_string_buffer(_LONGEST_SENT)
        self._bytes = memoryview(self._buffer)
        self._encode = _bare(self._lib, "opus_encode")
        self._address = ctypes.c_void_p(ctypes.addressof(self._buffer))
        self.effort = Effort(0, 0, 0, 0)
        self._resting = False
        self._control(_SET_INBAND_FEC, 1)
        self._control(_SET_DTX, int(dtx))
        self.adapt(0.0)

    def encode(self, pcm: bytes) -> bytes:
        """Code one frame; b"" if there is nothing to send (DTX).

        The first frame of a pause is a lone TOC byte, and sent: it tells the peer that what is missing from here on is
        silence, and not lost. Source: RFC 6716 §2.1.9 and §3.1.
        """
        size = self._encode(self._state, pcm, self._frame, self._address, _LONGEST_SENT)
        rested, self._resting = self._resting, size <= LONGEST_REST
        return b"" if rested and self._resting else bytes(self._bytes[:size])

    def adapt(self, loss: float) -> None:
        """Follow the loss that the peer reports, 0..1."""
        effort = self._bad if loss >= self.LOSSY_FROM else self._good
        if effort != self.effort:
            self.effort = effort
            self._control(_SET_SIGNAL, effort.signal)
            self._control(_SET_BITRATE, effort.bitrate)
            self._control(_SET_COMPLEXITY, effort.complexity)
            self._control(_SET_PACKET_LOSS, effort.loss)

    def close(self) -> None:
        if self._state.value is not None:
            self._lib.opus_encoder_destroy(self._state)
            self._state.value = None

    def _control(self, request: int, value: int) -> None:
        if self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)):
            raise EngineError(f"libopus refused control {request}")


class OpusDecoder:
    """Decodes to mono at the call's rate; what can't be decoded becomes concealment."""

    #: Decoded peaks above this are turned down, before a narrower codec behind us clips them: -1 dB of full scale.
    LOUDEST: Final = 29_200
    _RELEASE_DB: Final = 0.05
    _MOST_CUT_DB: Final = 12.0

    def __init__(self, rate_hz: int) -> None:
        self._lib = load_libopus()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(self._lib.opus_decoder_create(rate_hz, 1, ctypes.byref(error)))
        if error.value:
            raise EngineError(f"libopus refused to decode at {rate_hz} Hz")
        self._rate_hz = rate_hz
        self._ticks = 48_000 // rate_hz
        self._pcm = np.zeros(rate_hz * LONGEST_PACKET_MS // 1000, np.int16)
        self._address = ctypes.c_void_p(self._pcm.ctypes.data)
        self._decode = _bare(self._lib, "opus_decode")
        self._cut_db = 0.0

    def decode(self, packet: bytes) -> Pcm:
        size = self._decode(self._state, packet, len(packet), self._address, len(self._pcm), 0)
        if size <= 0:
            return self.conceal(packet_ticks(packet) // self._ticks or self._rate_hz * FRAME_MS // 1000)
        pcm = self._pcm[:size].copy()
        self._level(pcm)
        return pcm

    def restore(self, following: bytes, samples: int) -> Pcm:
        """The audio just before a packet, from the redundancy in it; concealed where it has none."""
        size = self._decode(self._state, following, len(following), self._address, samples, 1)
        return self._pcm[:size].copy() if size > 0 else np.zeros(samples, np.int16)

    def conceal(self, samples: int) -> Pcm:
        """Make up audio. `samples` is a multiple of 2.5 ms."""
        size = self._decode(self._state, None, 0, self._address, samples, 0)
        return self._pcm[:size].copy() if size > 0 else np.zeros(samples, np.int16)

    def close(self) -> None:
        if self._state.value is not None:
            self._lib.opus_decoder_destroy(self._state)
            self._state.value = None

    def _level(self, pcm: Pcm) -> None:
        """Hold peaks below the ceiling from the next packet on; let go by 1 dB in a second or so.

        Telegram's apps turn speech up, some of it to the very end of the scale.
        """
        peak = max(int(pcm.max()), -int(pcm.min()))
        if peak > self.LOUDEST:
            wanted = self._cut_db + 20 * float(np.log10(peak / self.LOUDEST)) + 0.5
        elif self._cut_db:
            wanted = self._cut_db - self._RELEASE_DB
        else:
            return
        self._cut_db = min(max(wanted, 0.0), self._MOST_CUT_DB)
        self._lib.opus_decoder_ctl(self._state, _SET_GAIN, ctypes.c_int32(-round(256 * self._cut_db)))
