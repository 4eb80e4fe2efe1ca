"""Stand-ins that Tocsin is measured beside: each is a program of its own and imports nothing of Tocsin."""
