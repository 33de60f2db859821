"""A local Telegram and a local phone, to try the gateway on; it knows nothing of the gateway."""
