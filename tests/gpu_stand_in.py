"""A kernel to try the estimates on: a thread trains a 2-10-1 network, weights in registers."""

import numba

from numbabp.compiler.cuda import kernel
from numbabp.compiler.toolchain import cuda
from numbabp.functions import activations as act
from numbabp.functions import losses

N_INPUTS, N_HIDDEN = 2, 10
HIDDEN_BIASES = N_INPUTS * N_HIDDEN
OUTPUT = HIDDEN_BIASES + N_HIDDEN
N_PARAMETERS = OUTPUT + N_HIDDEN + 1


@kernel
def train(parameters, inputs, targets, rate, total_loss):
    network = cuda.grid(1)
    w = cuda.local.array(N_PARAMETERS, numba.float32)
    a = cuda.local.array(N_HIDDEN, numba.float32)
    for j in range(N_PARAMETERS):
        w[j] = parameters[j, network]
    total = numba.float32(0)
    for t in range(inputs.shape[0]):
        z = w[N_PARAMETERS - 1]
        for k in range(N_HIDDEN):
            s = w[HIDDEN_BIASES + k]
            for i in range(N_INPUTS):
                s += inputs[t, i] * w[i * N_HIDDEN + k]
            a[k] = act.sigmoid(s)
            z += a[k] * w[OUTPUT + k]
        total += losses.binary_cross_entropy(z, targets[t])
        delta = act.sigmoid(z) - targets[t]
        for k in range(N_HIDDEN):
            below = delta * w[OUTPUT + k] * act.sigmoid_derivative(s, a[k])
            w[OUTPUT + k] -= rate * delta * a[k]
            for i in range(N_INPUTS):
                w[i * N_HIDDEN + k] -= rate * below * inputs[t, i]
            w[HIDDEN_BIASES + k] -= rate * below
        w[N_PARAMETERS - 1] -= rate * delta
    for j in range(N_PARAMETERS):
        parameters[j, network] = w[j]
    total_loss[network] = total


def kernel_and_signature():
    number = numba.float32
    return train, (number[:, ::1], number[:, ::1], number[::1], number, number[::1])
