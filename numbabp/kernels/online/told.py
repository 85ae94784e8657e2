"""What users' compiled code calls of a learner: samples told by argument, checked, and learnt from.

Functions without Numba's reference counts, which for the arrays of a learner cost more than a step: 10-16-1
took 0.99 us with them, and takes 0.16 without, as a step within `fit` does.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, overload

from ...compiler.arithmetic.subnormals import flush, put_back
from ...compiler.compiling import LINKED, scalar_function
from ...errors import StepDivergenceError
from ...functions.losses import CATEGORICAL_CROSS_ENTROPY
from ..layout import FAN_OUT, OUTPUTS
from .sample import are_targets, gradient_of_sample, learn_unobserved, look_at_sample

# What comes of it.
DONE, DIVERGED, WRONG_LENGTH, WRONG_NUMBER, WRONG_CLASS, WRONG_OUT = range(6)


@scalar_function
def _complain(learner: Any, status: Any) -> None:
    """Raise what a status stands for."""
    if status == DIVERGED:
        raise StepDivergenceError
    if status == WRONG_LENGTH:
        raise ValueError("x must have as many numbers as the network has inputs, and y as it has outputs")
    if status == WRONG_CLASS:
        raise ValueError("y must be the index of a class, from 0")
    if status == WRONG_OUT:
        raise ValueError(
            "out must have as many numbers as the network has outputs, for a gradient parameters"
        )
    if status == WRONG_NUMBER:
        raise ValueError("x and y must be finite, y must be what the loss takes, and sample_weight >= 0")


@scalar_function
def _put_inputs(learner: Any, x: Any) -> int:
    inputs = learner.samples.inputs
    n = inputs.shape[1]
    if len(x) != n:
        return WRONG_LENGTH
    total = inputs.dtype.type(0)
    for i in range(n):
        value = inputs.dtype.type(x[i])
        inputs[0, i] = value
        total += value * inputs.dtype.type(0)
    return DONE if total == 0 else WRONG_NUMBER


@scalar_function
def put_array(learner: Any, y: Any) -> int:
    """Targets, one for each output."""
    targets = learner.samples.targets
    n = targets.shape[1]
    if len(y) != n:
        return WRONG_LENGTH
    for k in range(n):
        targets[0, k] = y[k]
    return DONE if are_targets(learner.model.loss, targets[0], n) else WRONG_NUMBER


@scalar_function
def put_number(learner: Any, y: Any) -> int:
    """The target of the only output."""
    targets = learner.samples.targets
    if targets.shape[1] != 1:
        return WRONG_LENGTH
    targets[0, 0] = y
    return DONE if are_targets(learner.model.loss, targets[0], 1) else WRONG_NUMBER


@scalar_function
def put_class(learner: Any, y: Any) -> int:
    """One for the class of this index, and 0 for the others."""
    targets = learner.samples.targets
    n = targets.shape[1]
    if y < 0 or y >= n:
        return WRONG_CLASS
    for k in range(n):
        targets[0, k] = 0
    targets[0, y] = 1
    return DONE


def put_targets(learner: Any, y: Any) -> int:
    """What y is decides how it is taken."""
    if np.ndim(y) == 1:
        return put_array(learner, y)
    if learner.model.loss == CATEGORICAL_CROSS_ENTROPY and isinstance(y, int | np.integer):
        return put_class(learner, y)
    return put_number(learner, y)


@overload(put_targets, jit_options=LINKED)
def _put_targets_of(learner: Any, y: Any) -> Any:
    model = learner[learner.fields.index("model")]
    loss = model[model.fields.index("loss")]
    if isinstance(y, types.Array | types.UniTuple | types.Tuple):
        return put_array
    if isinstance(y, types.Integer) and loss.values == (CATEGORICAL_CROSS_ENTROPY,):
        return put_class
    if isinstance(y, types.Number | types.Boolean):
        return put_number
    raise TypingError(f"y must be a number, an array or a tuple of numbers, got {y}")


@scalar_function
def look(learner: Any, x: Any, out: Any) -> None:
    """Outputs for x, into `out`."""
    last = len(learner.plain_layout) - 1
    start, n = learner.plain_layout[last, OUTPUTS], learner.plain_layout[last, FAN_OUT]
    status = _put_inputs(learner, x)
    if np.uint64(out.size) != n:
        status = WRONG_OUT
    _complain(learner, status)
    look_at_sample(learner)
    for k in range(n):
        out[k] = learner.model.units[1, start + k]


@scalar_function
def learn(learner: Any, x: Any, y: Any, weight: Any) -> float:
    """One step; subnormal numbers are 0 meanwhile, as in `fit`. Returns the loss before."""
    status = put_targets(learner, y)
    if status == DONE:
        status = _put_inputs(learner, x)
    if not weight >= 0:
        status = WRONG_NUMBER
    _complain(learner, status)
    word = flush()
    loss = learn_unobserved(learner, learner.model.parameters.dtype.type(weight))
    put_back(word)
    if not np.isfinite(loss):
        _complain(learner, DIVERGED)
    return loss


@scalar_function
def differentiate(learner: Any, x: Any, y: Any, out: Any) -> float:
    """The loss; its gradient goes into `out`."""
    status = put_targets(learner, y)
    if status == DONE:
        status = _put_inputs(learner, x)
    if out.size != learner.model.parameters.size:
        status = WRONG_OUT
    _complain(learner, status)
    return gradient_of_sample(learner, out)


class _OfLearner(AbstractTemplate):
    """Typing of a function that calls one of the above with a learner and more, all by position or name.

    Numba's own way, an inner function, would count references of all the learner's arrays with every call.
    """

    inner: Any
    """Which one."""
    names: tuple[str, ...]
    defaults: dict[str, Any]
    pysig: inspect.Signature

    def generic(self, args: Any, kws: Any) -> Any:
        given = dict(zip(self.names, args, strict=False)) | kws
        if len(args) + len(kws) != len(given) or not set(given) <= set(self.names):
            return None
        found = [
            given[name] if name in given else types.Omitted(self.defaults[name])
            for name in self.names
            if name in given or name in self.defaults
        ]
        if len(found) != len(self.names) or not isinstance(found[0], types.BaseNamedTuple):
            return None
        plain = [types.float64 if isinstance(each, types.Omitted) else each for each in found]
        template = self.context.resolve_value_type(self.inner)
        returned = template.get_call_type(self.context, plain, {}).return_type
        return signature(returned, *found).replace(pysig=self.pysig)


def _call(context: Any, builder: Any, function: Any, of_types: Any, values: Any) -> Any:
    """Call a function that the compiler knows, in compiled code."""
    template = context.typing_context.resolve_value_type(function)
    found = template.get_call_type(context.typing_context, of_types, {})
    return context.get_function(template, found)(builder, values)


def of_learner(inner: Callable[..., Any]) -> Callable[[Any], Any]:
    """Let a function of a learner be `inner` in compiled code.

    Its Python is what runs interpreted.
    """

    def register(function: Any) -> Any:
        if numba.config.DISABLE_JIT:
            return np.errstate(all="ignore")(function)  # as compiled code is silent
        pysig = inspect.signature(function)
        parameters = pysig.parameters.values()
        defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        names = tuple(each.name for each in parameters)
        own = {"key": function, "inner": staticmethod(inner), "names": names, "defaults": defaults}
        template = type("_Template", (_OfLearner,), {**own, "pysig": pysig})
        infer_global(function, types.Function(template))

        @lower_builtin(function, types.VarArg(types.Any))
        def lowered(context: Any, builder: Any, called: Any, arguments: Any) -> Any:
            plain, values = [], []
            for of_type, value in zip(called.args, arguments, strict=True):
                is_omitted = isinstance(of_type, types.Omitted)
                plain.append(types.float64 if is_omitted else of_type)
                values.append(context.get_constant(types.float64, of_type.value) if is_omitted else value)
            return _call(context, builder, inner, tuple(plain), values)

        return function

    return register
