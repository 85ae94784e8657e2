"""Which kernel trains, and why."""
