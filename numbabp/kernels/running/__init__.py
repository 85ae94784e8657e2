"""Running means and what is made of them, as rows come."""
