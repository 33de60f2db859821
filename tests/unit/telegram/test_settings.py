from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.errors import SettingsError
from gateway.telegram.client import make_client
from gateway.telegram.session import KeptSession
from gateway.telegram.settings import DATA_CENTRE, TelegramSettings


def test_the_real_network_needs_an_api_id_and_hash() -> None:
    assert TelegramSettings().address is None
    with pytest.raises(SettingsError, match="SIPTG_TELEGRAM__API_ID"):
        make_client(TelegramSettings(), KeptSession())


@pytest.mark.parametrize(
    ("server", "address"),
    [("127.0.0.1:443", ("127.0.0.1", 443)), ("[::1]:443", ("::1", 443)), ("tg.example:1", ("tg.example", 1))],
)
def test_another_network_is_an_address_and_a_key(server: str, address: tuple[str, int]) -> None:
    assert TelegramSettings.model_validate({"server": server, "key_file": "key.pem"}).address == address


@pytest.mark.parametrize("server", ["localhost", ":443", "host:", "host:0", "host:70000", "host:abc"])
def test_a_wrong_address_is_refused(server: str) -> None:
    with pytest.raises(ValidationError, match="host:port"):
        TelegramSettings.model_validate({"server": server, "key_file": "key.pem"})


def test_another_network_without_its_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="key_file"):
        TelegramSettings(server="127.0.0.1:443")


def test_a_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in (None, "not a key"):
        key = tmp_path / "key.pem"
        if content:
            key.write_text(content)
        settings = TelegramSettings.model_validate(
            {"api_id": 1, "api_hash": "x", "server": "127.0.0.1:443", "key_file": key}
        )
        with pytest.raises(SettingsError, match="key_file"):
            make_client(settings, KeptSession())


def test_unknown_settings_are_refused_and_the_hash_is_not_shown() -> None:
    with pytest.raises(ValidationError):
        TelegramSettings.model_validate({"api_idd": 1})
    assert "s3cret" not in repr(TelegramSettings.model_validate({"api_hash": "s3cret"}))


def test_nothing_that_is_tried_here_has_a_way_to_telegram() -> None:
    """A datagram socket is only routed by `connect`; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, pytest.raises(OSError, match="unreachable"):
        probe.connect(DATA_CENTRE)
