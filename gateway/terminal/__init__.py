"""What the commands say and ask in a terminal."""
