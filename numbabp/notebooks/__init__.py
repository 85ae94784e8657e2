"""What notebooks show of networks, plans and histories, and of training under way."""
