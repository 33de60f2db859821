"""The Telegram side: session accounts and their private calls."""
