"""What all tests share. Their private network is entered earlier still, by `-p gateway.sandbox.pytest_plugin`."""

pytest_plugins = ["tests.sandbox_fixtures"]
