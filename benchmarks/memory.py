"""Peak memory of training and of prediction, in processes of their own, less the import's."""

from .start_up import run

PREPARE = """
import resource, numpy as np, numbabp as nbp
net = nbp.Network((784, 128, 10), loss="binary_cross_entropy", dtype="float32", random_state=0)
X, y = np.zeros((20000, 784), "float32"), np.zeros((20000, 10), "float32")
net.fit(X[:10], y[:10], epochs=1)
net.forward(X[:10])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
"""


class PeakMemory:
    """Bytes on top of what stood before: data, network and compiled kernels."""

    timeout = 300

    def track_fit(self):
        return int(run(PREPARE + "net.fit(X, y, epochs=1); print(peak() - before)"))

    def track_forward(self):
        return int(run(PREPARE + "net.forward(X); print(peak() - before)"))

    track_fit.unit = "bytes"
    track_forward.unit = "bytes"
