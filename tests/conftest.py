"""What all tests share. Their private network is entered earlier still, by `-p gateway.sandbox.pytest_plugin`."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.sandbox_fixtures"]

# How long inputs and examples take says how busy the machine is, and nothing of the code.
settings.register_profile("siptg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("siptg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", default="auto", help="the media engine of end-to-end tests that name none themselves")
