"""Estimators of many networks: searches and ensembles, whose networks are trained together."""
