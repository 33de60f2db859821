"""The open gateway between Telegram voice calls and telephone exchanges."""
