"""What all tests share. Their private network is entered earlier still, by `-p gateway.sandbox.pytest_plugin`."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.sandbox_fixtures"]

# How long inputs and examples take says how busy the machine is, and nothing of the code.
settings.register_profile("siptg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("siptg")
