"""The recurrence of one weight and its velocity under sgd, momentum and nesterov with L2.

What the blocked kernels of the CPU and of GPUs share; numbers in brackets are equations of docs/blocked.md.
"""

from typing import Any

from ..compiler.compiling import scalar_function, subroutine
from .update_rules import MOMENTUM, SGD

# Columns of powers: row s holds A^s, by rows, and A^s b (equation 4).
W_FROM_W, W_FROM_V, V_FROM_W, V_FROM_V, W_FROM_G, V_FROM_G = range(6)


@scalar_function
def step_rates(rule: Any, rate: Any) -> Any:
    """(mu, eta_v, eta_g) of sgd, momentum or nesterov, float64 (equation 2)."""
    if rule.code == SGD:
        return 0.0, 0.0, rate
    if rule.code == MOMENTUM:
        return rule.momentum, rate, 0.0
    return rule.momentum, rate * rule.momentum, rate


@subroutine
def fill_powers(powers: Any, rule: Any, rate: Any) -> None:
    """Powers of the recurrence of one weight and its velocity, A^s and A^s b (equations 3 and 4)."""
    mu, of_velocity, of_gradient = step_rates(rule, rate)
    both = of_velocity + of_gradient
    powers[0, W_FROM_W], powers[0, W_FROM_V], powers[0, V_FROM_W], powers[0, V_FROM_V] = 1.0, 0.0, 0.0, 1.0
    powers[0, W_FROM_G], powers[0, V_FROM_G] = -both, 1.0
    for s in range(1, len(powers)):
        for w, v in ((W_FROM_W, V_FROM_W), (W_FROM_V, V_FROM_V), (W_FROM_G, V_FROM_G)):
            before_w, before_v = powers[s - 1, w], powers[s - 1, v]
            powers[s, w] = before_w - both * rule.l2 * before_w - of_velocity * mu * before_v
            powers[s, v] = mu * before_v + rule.l2 * before_w
