"""Use-cases: what a face (terminal, bot, web) may ask of the house."""
