"""The Bot API over HTTP, on the same world as MTProto: an unmodified bot speaks here with users who speak there.

Source: https://core.telegram.org/bots/api.
"""
