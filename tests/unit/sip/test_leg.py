from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.model import AudioFormat
from gateway.sip.leg import audio_format, safe_text


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("(ulaw)", AudioFormat.ULAW),
        ("(alaw|ulaw)", AudioFormat.ALAW),
        ("(g722)", AudioFormat.G722),
        ("(opus)", AudioFormat.G722),
        ("(gsm|ulaw)", AudioFormat.G722),
        ("", AudioFormat.G722),
    ],
)
def test_the_audio_follows_the_codec_and_is_g722_for_all_that_must_be_transcoded(
    native: str, expected: AudioFormat
) -> None:
    assert audio_format(native) is expected


@settings(deadline=None)
@given(st.text(), st.integers(0, 200))
def test_safe_text_is_short_one_line_and_without_controls(text: str, limit: int) -> None:
    safe = safe_text(text, limit)
    assert len(safe.encode()) <= limit
    assert not set(safe) & set("\r\n\t\0\u202e\u200f\u2028")
    assert safe.isprintable()


def test_names_that_people_have_are_left_alone() -> None:
    assert safe_text("Анна-Мария d'Élan 😀", 120) == "Анна-Мария d'Élan 😀"
