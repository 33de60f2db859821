"""What the gateway must not forget: accounts, lines, call records, and Telegram's sessions, sealed.

`store` is the door; `model` is what is in it, as data.
"""
