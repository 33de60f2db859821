"""The audio path: a pool of workers (node side), and what runs inside one (worker side)."""
