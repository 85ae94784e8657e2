"""What the docstrings of estimators have in common, and how it gets into them."""

import inspect
from collections.abc import Callable
from typing import TypeVar

Class = TypeVar("Class", bound=type)

PARAMETERS = """\
Every parameter that scikit-learn's class of this name has keeps its name and meaning. Defaults differ only
where that makes plain per-sample SGD:

================== ====== =========================
parameter          here   scikit-learn
================== ====== =========================
solver             "sgd"  "adam"
batch_size         1      "auto", that is min(200, n)
momentum           0.0    0.9
learning_rate      "auto" "constant"
learning_rate_init "auto" 0.001
alpha              "auto" 0.0001
max_iter           "auto" 200
================== ====== =========================

Inputs, and a regressor's targets, may have any scale: they are standardised inside (`standardize`).

A `ConvergenceWarning` says so, and what to change, where training ends with predictions that are no better
than a constant, or with a layer whose units put out the same for every sample.

Parameters
----------
hidden_layer_sizes : int or sequence of int, default=(100,)
    Units of each hidden layer; () makes a linear model.
activation : str or sequence of str, default="relu"
    Of the hidden layers, one name for all or one for each: "identity", "logistic" (or "sigmoid"), "tanh",
    "relu", "leaky_relu", "elu", "softplus", "silu", "gelu".
solver : {"sgd", "adagrad", "rmsprop", "adam", "adamw", "rprop", "lbfgs"}, default="sgd"
    Update rule; or "lbfgs", SciPy's L-BFGS-B with the gradient of all samples at once, in float64 and on the
    CPU, for small tables and linear models (Byrd, Lu, Nocedal and Zhu 1995). It has no use for rates,
    momentum, batch_size, shuffle and n_iter_no_change, and leaves them alone; early_stopping is refused, and
    there is no `partial_fit`.
standardize : bool, default=True
    Whether the network gets every column of X less its mean and divided by its standard deviation, as from a
    `StandardScaler`, both of the samples that it is trained with (weighted; those held out for validation
    are not among them), and for output_activation="identity" a regressor likewise its targets; those of
    loss="poisson" are only divided, by their mean square over their mean. A column that is constant there is
    left out. Of a sparse X a column most of which is zero is only divided, by the root mean square of what is
    not zero, so that X stays sparse. Loss, alpha and learning rates are those of the standardised network;
    predictions, `network_`, `coefs_` and `intercepts_` are for X and y as they come. In `partial_fit` mean
    and standard deviation are of all rows so far, of which the t-th has the weight t^3: those with which a
    stream began are forgotten.
alpha : float or "auto", default="auto"
    Strength of the L2 penalty on weights, divided by batch_size in every step, with "lbfgs" by the number of
    samples; "adamw" takes it as decoupled decay. "auto" is for n samples of d columns a penalty in every step
    of 0.8 d / n, of classifiers 1.2 g d / n with g the mean over the outputs of p (1 - p) at a class's
    frequency p (1/4 for two equally frequent ones), of both at most 0.02 and n / 10,000, and 0.0001 in
    `partial_fit`.
batch_size : int or "auto", default=1
    Samples a step; "auto" is 200, or with "rprop", which takes no part of them, all samples.
learning_rate : str or callable, default="auto"
    "auto" is a rate that rises in the first fifth of max_iter epochs and then falls to zero as a cosine does,
    and "constant" in `partial_fit`. "constant", "invscaling" and "adaptive" as in scikit-learn, but with
    every solver; "exponential", "step" and "cosine" as in `Network.fit`; or a function of the epoch, from 0,
    that returns the rate.
learning_rate_init : float or "auto", default="auto"
    First, or largest, learning rate. "auto" is 0.01 (1 - momentum) for "sgd", 0.01 for "adagrad", 0.1 for
    "rprop" and 0.001 for the others. With standardize=True and a rate that falls to zero "sgd" has twice as
    much; it is at most 1 / the mean sum of squares of a sample, that is about 1 / the number of columns, and
    for a regressor of squared error 2 / the largest sum of squares of a sample: outlying rows would make it
    diverge. Where targets are not standardised, a regressor of squared error or poisson divides it by the
    root mean square of the first call's, where that is more than 1. All, since the largest rate that does not
    diverge falls with their size. Sample weights, which make some steps longer, divide it by the mean square
    of theirs (`estimators.weights`). In `partial_fit` these are means over all rows so far, of which the t-th
    counts as t^3, so that the first ones do not fix the rate; inputs that are not standardised count, too.
power_t : float, default=0.5
    Exponent of "invscaling": the rate is learning_rate_init / (samples seen + 1)^power_t.
max_iter : int or "auto", default="auto"
    Epochs at most; as many with learning_rate="auto" or "cosine", whose rates reach zero then. "auto" is for
    n samples 15,000 / n, at least 40 and at most 1,000; up to 100 where outlying rows, or many columns, take
    a lower learning rate, and at least 100 with another solver than "sgd", a batch_size of more than 1 or a
    rate that does not fall to zero. Of "lbfgs" iterations, by default 200, after which a
    `ConvergenceWarning` says that they were not enough.
shuffle : bool, default=True
    Whether every epoch has an order of its own.
random_state : None, int or RandomState, default=None
    Of initial weights, shuffles and the validation split.
tol, n_iter_no_change : float, int, default=1e-4, 10
    With learning_rate="auto" or "cosine" of meaning only to early_stopping and `partial_fit`, else training
    ends when for more than n_iter_no_change epochs in a row the training loss (with early stopping: the
    validation score) has not improved by at least tol. With learning_rate="adaptive" the rate is then divided
    by 5, and training ends when it is no more than 1e-6. "lbfgs" ends where no entry of the gradient is
    larger than tol, or an iteration lowers the loss by less than 2.2e-5 tol of it.
verbose : bool or int, default=False
    Whether to print the loss of every epoch.
warm_start : bool, default=False
    Whether `fit` goes on from the last solution.
momentum, nesterovs_momentum : float, bool, default=0.0, True
    Of "sgd".
early_stopping, validation_fraction : bool, float, default=False, 0.1
    Whether `fit` sets this part of the samples aside (stratified if possible), or takes X_val and y_val, and
    goes back to the parameters that scored best on it.
beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
    Of "adam" and "adamw"; epsilon also of "adagrad" and "rmsprop".
max_fun : int, default=15000
    Evaluations of all samples that "lbfgs" takes at most; without effect for the others.
device : str, default="auto"
    Where to train, as in `Network.fit`: "auto", "cpu", "cuda", or "cuda:0", "cuda:1", ... Predictions are
    made where X lies. An X on a GPU (CuPy's, or any array with the CUDA array interface) stays there, with y
    and sample_weight beside it or in the host's memory, and what is predicted lies there, too; only labels
    that are no numbers come back as NumPy's. class_weight, and early_stopping without X_val, bring the labels
    to the host.
checkpoint : str or path-like, optional
    A file in which `fit` keeps its run: the same fit again, in another process too, goes on from where the
    file stands, as `Network.fit` with its `checkpoint` does (docs/reliability.md). random_state should be a
    number. It is for one fit: searches and ensembles have a `checkpoint` of their own, a folder.\
"""
"""Of the two estimators."""

ATTRIBUTES = """\
Attributes
----------
network_ : Network
    For inputs and targets as they come: with standardize=True a copy, into whose first layer (and last, for
    targets) the standardisation is folded; else what was trained.
inner_network_ : Network
    What was trained: for standardised inputs, with standardised targets.
coefs_, intercepts_ : list of ndarray
    Weights and biases of `network_`.
loss_, loss_curve_ : float, list of float
    Prequential loss of the last epoch, and of every one since training began: the mean over the samples,
    weighted by their weights, of `loss` summed over the outputs, each on the prediction made just before the
    step that the sample takes part in; without the penalty of alpha; in units of standardised
    targets; so for every solver and batch size. Of "lbfgs" the mean loss after each iteration.
    (scikit-learn's adds the penalty, and takes the mean of squared errors over the outputs.)
best_loss_ : float or None
    The lowest of them; None with early stopping.
validation_scores_, best_validation_score_ : list of float, float, or None
    With validation samples: accuracy or R^2 after every epoch, and the best.
should_stop_ : bool
    Whether it is time to end training, as n_iter_no_change says; what `partial_fit` leaves to the caller.
learning_rate_init_ : float
    The number that learning_rate_init stands for.
max_iter_ : int
    The number that max_iter stands for.
n_iter_, t_ : int
    Epochs, or iterations, of the last call; samples taken since training began, of "lbfgs" in its iterations.
n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
    As in scikit-learn.\
"""
"""Likewise."""

ENSEMBLE = """\
The members start from weights of their own and are trained together as one `Population`, all with the same
order of samples; the prediction is the mean of theirs (Lakshminarayanan, Pritzel and Blundell 2017, "Simple
and Scalable Predictive Uncertainty Estimation using Deep Ensembles", arXiv 1612.01474). Where they disagree
it is uncertain: `predict_std`.

Parameters
----------
n_estimators : int, default=10
    Members.
bootstrap : bool, default=False
    Whether each member has a bootstrap of its own: samples drawn with replacement, whose counts multiply
    their weights. The order, and with it the places in mini-batches, is that of all samples.
n_threads : int, optional
    Threads that share the members; by default all that there are.
random_state : None, int or RandomState, default=None
    Draws a seed for each member, then the bootstraps.
checkpoint : str or path-like, optional
    A folder, made if need be, in which `fit` is kept: the same fit again, in another process too, goes on
    from there and ends with the bits of one that was never stopped (docs/reliability.md). It holds what seeds
    and bootstraps were drawn from, so that random_state need not be a number.
**options
    The other parameters of `{member}`, by the same names and with the same defaults. With device="cuda", or
    an X that lies on a GPU, members are trained together there, as far as its kernels of populations take
    them (docs/gpu.md), and predictions lie where X does. early_stopping,
    warm_start and learning_rate="adaptive" are refused: they are for networks that are trained singly.

Attributes
----------
population_ : Population
    What was trained by `fit`; `partial_fit` goes on with it, or alone has none, for it trains one by one.
estimators_ : list of {member}
    The members, fitted; their parameters are views of ``population_.parameters``. One that diverged is left
    out.
n_features_in_, feature_names_in_, n_outputs_
    As of every member.
n_iter_ : int
    Epochs of the member that took the most.\
"""
"""Of the two ensembles, for members of the class `{member}`."""


def documented(**parts: str) -> Callable[[Class], Class]:
    """Put the parts into a class's docstring, where it has their names in braces."""

    def fill_in(cls: Class) -> Class:
        text = inspect.cleandoc(cls.__doc__ or "")  # first, as the parts have no indentation
        for name, part in parts.items():
            text = text.replace("{" + name + "}", part)
        cls.__doc__ = text
        return cls

    return fill_in
