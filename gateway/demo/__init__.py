"""The whole product on one machine, without an account: a local Telegram, a local phone, the gateway between them."""
