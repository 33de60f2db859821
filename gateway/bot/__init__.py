"""The administrators' bot (R2): a face of the use-cases in Telegram's Bot API. It decides nothing by itself.

`face` is the door. `settings` brings no aiogram along: a gateway without a bot does without.
"""
