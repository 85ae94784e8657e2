"""Networks of all combinations of settings and seeds, trained as few populations."""
