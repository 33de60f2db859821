"""Use-cases: what a face (terminal, bot, web) may ask of the house. What is another's is not there for whoever asks.

`door` is what faces use of it; `requests`, `views` and `rpc` are what a command needs to ask the running gateway, and
bring no library along.
"""
