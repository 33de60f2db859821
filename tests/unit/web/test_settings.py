from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.settings import Settings
from gateway.web.settings import WebSettings


@pytest.mark.parametrize(
    "url",
    [
        "https://pbx.example.com",
        "https://pbx.example.com/tg/",
        "http://127.0.0.1:9471",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_pages_are_reached_by_tls_or_on_loopback(url: str) -> None:
    assert WebSettings.model_validate({"public_url": url}).public_url == url.rstrip("/")


@pytest.mark.parametrize(
    "given",
    [
        {"public_url": "http://pbx.example.com"},
        {"public_url": "http://192.168.1.2"},
        {"public_url": "http://127.0.0.1.example.com"},
        {"public_url": "ftp://pbx.example.com"},
        {"public_url": "pbx.example.com"},
        {"public_url": "https://user:secret@pbx.example.com"},
        {"public_url": "https://pbx.example.com/?a=b"},
        {"host": "everywhere"},
        {"metrics_port": 70000},
        {"metrics_port": -1},
        {"pages_port": 0},
    ],
)
def test_what_can_not_be_served_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebSettings.model_validate(given)


def test_nothing_is_served_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().web.metrics_port is None
    assert not Settings().web.public_url
    monkeypatch.setenv("SIPTG_WEB__PUBLIC_URL", "https://pbx.example.com/tg")
    monkeypatch.setenv("SIPTG_WEB__METRICS_PORT", "9470")
    assert Settings().web.public_url == "https://pbx.example.com/tg"
    assert Settings().web.metrics_port == 9470
