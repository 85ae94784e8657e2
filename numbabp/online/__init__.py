"""Training one sample at a time, from Python and within compiled code."""

from .learner import Online

__all__ = ["Online"]
