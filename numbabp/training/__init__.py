"""Training: the loops around kernels, and what is watched between slices."""

from ..compiler.compile_events import tell_log

tell_log()
