"""Lines as Asterisk configuration: rendered, written, read back, or undone."""
