from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from gateway.sip.embedded import AsteriskSettings, new_enough


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls_key": "key.pem"},
        {"rtp_first_port": 20000, "rtp_last_port": 20000},
        {"ari_url": "http://127.0.0.1:8088"},
        {"udp_port": 70000},
        {"unknown": 1},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AsteriskSettings(**wrong)


def test_secrets_are_not_shown() -> None:
    settings = AsteriskSettings(ari_url="http://x", ari_password=SecretStr("hidden"), ami_secret=SecretStr("hidden"))
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("22.10.1+dfsg+~cs6.17.60671434-1", True),
        ("20.9.0", True),
        ("20.8.1", False),
        ("18.26.2", False),
        ("certified/20.7-cert4", False),
        ("GIT-master-1a2b3c", True),
    ],
)
def test_old_asterisks_are_told_from_new_ones(version: str, expected: bool) -> None:
    assert new_enough(version) is expected
