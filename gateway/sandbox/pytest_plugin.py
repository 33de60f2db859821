"""Puts a test run into a network of its own. For `pytest -p`, which imports it before plugins that start threads."""

from gateway.sandbox.network import enter_private_network

enter_private_network()
