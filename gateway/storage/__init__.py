"""What outlives the process: accounts, lines, call records."""
