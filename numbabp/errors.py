"""What numbabp raises beside Python's own exceptions."""

OF_FIT = "a smaller learning_rate, inputs scaled to about unit variance, or clip_norm"
"""What may help against divergence in `Network.fit`."""


class DivergenceError(ArithmeticError, ValueError):
    """Training left the numbers of any use; the network keeps its last parameters before.

    A ValueError, too, which is what scikit-learn raises for parameters that are not finite.

    Attributes
    ----------
    epoch : int
        Epoch in which it happened, from 0.
    sample : int
        Row of X whose step it was.
    learning_rate : float
        Rate of that step.
    advice : str
        What to try, in terms of the caller's arguments.
    """

    def __init__(self, epoch: int, sample: int, learning_rate: float, advice: str = OF_FIT) -> None:
        super().__init__(epoch, sample, learning_rate, advice)
        self.epoch = epoch
        self.sample = sample
        self.learning_rate = learning_rate
        self.advice = advice

    def __str__(self) -> str:
        return (
            f"training diverged in epoch {self.epoch} at sample {self.sample} with learning rate "
            f"{self.learning_rate:g}: the loss, the parameters or the rule's moments are no longer finite, "
            f"or beyond any use. The last parameters before were kept. Try {self.advice}."
        )


class StepDivergenceError(DivergenceError):
    """The loss of the sample of a single step is not finite, within compiled code; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0.0)
        self.args = ()

    def __str__(self) -> str:
        return f"the loss of this sample is not finite; nothing was changed by it. Try {self.advice}."


class NoGPUError(RuntimeError):
    """There is no GPU to be used, for the reason that it tells."""
