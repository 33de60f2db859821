"""The Telegram side: session accounts on Telethon, and calls with Telegram users.

`side` is the door; `account` is one account online; `book`, `leg`, `signalling` and `farewells` are its calls;
`exchange` is their key; `login` and `recommended` are how an account comes to be.
"""
