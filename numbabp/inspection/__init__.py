"""What a network computes on the way: every layer's outputs, gradients, and one step with all its numbers."""
