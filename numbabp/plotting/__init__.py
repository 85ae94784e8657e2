"""Pictures of networks, drawn with matplotlib (the extra `plot`), which is imported when one is drawn.

>>> import numbabp as nbp
>>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
>>> net = nbp.Network((2, 3, 1), loss="binary_cross_entropy", random_state=0)
>>> recorder = nbp.plotting.Recorder(net)
>>> history = net.fit(X, y, learning_rate=1.0, epochs=500, callback=recorder)
>>> nbp.plotting.decision_boundary(net, X, y)
<Axes: ...>
>>> animation = nbp.plotting.weights_animation(net, recorder.parameters)  # .to_jshtml(), .save("weights.gif")

`History.plot` draws the curves.
"""

from .animation import Recorder, weights_animation
from .diagram import network_diagram
from .planes import decision_boundary, hidden_units

__all__ = ["Recorder", "decision_boundary", "hidden_units", "network_diagram", "weights_animation"]
