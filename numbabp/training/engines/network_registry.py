"""Which engine a plan asks for."""

from collections.abc import Callable

from ...planning.plan import Plan
from . import network_cpu
from .network_engine import Engine, Subject


def make_engine(plan: Plan, subject: Subject) -> Engine:
    """The engine of a plan for one network."""
    if plan.device == "cpu":
        return network_cpu.ENGINES[plan.kernel](plan, subject)
    # numba-cuda only for those who use it
    from . import network_cuda_blocked, network_cuda_persistent, network_cuda_resident

    engines: dict[str, Callable[[Plan, Subject], Engine]] = {
        "blocked": network_cuda_blocked.Blocked,
        "persistent": network_cuda_persistent.Persistent,
        "resident": network_cuda_resident.Resident,
    }
    return engines[plan.kernel](plan, subject)
