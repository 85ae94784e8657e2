"""How good a model is: its metrics, what simple models reach, and pictures of its errors."""
