"""What numbabp raises beside Python's own exceptions."""


class DivergenceError(ArithmeticError):
    """Training left the finite numbers; the network keeps its last finite parameters.

    Attributes
    ----------
    epoch : int
        Epoch in which it happened, from 0.
    sample : int
        Row of X whose step it was.
    learning_rate : float
        Rate of that step.
    """

    def __init__(self, epoch: int, sample: int, learning_rate: float) -> None:
        super().__init__(epoch, sample, learning_rate)
        self.epoch = epoch
        self.sample = sample
        self.learning_rate = learning_rate

    def __str__(self) -> str:
        return (
            f"training diverged in epoch {self.epoch} at sample {self.sample} with learning rate "
            f"{self.learning_rate:g}: the loss or the parameters are no longer finite. The last finite "
            "parameters were kept. Try a smaller learning_rate, inputs scaled to about unit variance, or "
            "clip_norm."
        )


class NoGPUError(RuntimeError):
    """There is no GPU to be used, for the reason that it tells."""
