"""Small experiments to learn from, by `numbabp demo`."""
