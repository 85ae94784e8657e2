"""A contextual bandit: which digit is it, when all that one is told is whether the guess was right.

    python examples/bandit.py [--rounds 20000]

Each round shows one of scikit-learn's 1797 images of digits, drawn with replacement. The learner picks one of
ten arms, a digit, and gets a reward of 1 if it is the right one and otherwise 0; which one it would have been
it is not told (Langford and Zhang 2007; Sutton and Barto 2018, section 2.9). It estimates the probability of
a reward for each arm, takes the best one - or now and then, epsilon-greedily, any - and learns from what came
of that arm alone, one round at a time, by `Network.online`. A network with a hidden layer, a linear one (ten
logistic regressions) and guesses at random are shown the same images. In the last tenth of 20,000 rounds they
get 0.98, 0.97 and 0.10.
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

import numbabp as nbp

N_ARMS = 10


class Bandit:
    """Estimates the reward of each arm by a network with an output for each."""

    def __init__(self, hidden, learning_rate, seed):
        sizes = (64, *hidden, N_ARMS)
        net = nbp.Network(sizes, hidden_activation="relu", loss="binary_cross_entropy", random_state=seed)
        self.learner = net.online(learning_rate=learning_rate)

    def choose(self, context):
        """The arm that seems best."""
        return self.learner.forward_one(context).argmax()

    def learn(self, context, arm, reward):
        """The other arms' targets are their own estimates: no error, so no gradient."""
        targets = self.learner.forward_one(context)
        targets[arm] = reward
        self.learner.learn_one(context, targets)


class Random:
    """Never learns."""

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed)

    def choose(self, context):
        """Any arm."""
        return self.draw.integers(N_ARMS)

    def learn(self, context, arm, reward):
        """Nothing."""


def play(learner, contexts, best_arms, seed):
    """Reward of each round; an arm at random in one of 10 rounds at first, falling to none in the half."""
    draw = np.random.default_rng(seed)
    rewards = np.zeros(len(contexts))
    for i, (context, best) in enumerate(zip(contexts, best_arms, strict=True)):
        is_explored = draw.random() < 0.1 * (1 - 2 * i / len(contexts))
        arm = draw.integers(N_ARMS) if is_explored else learner.choose(context)
        rewards[i] = arm == best
        learner.learn(context, arm, rewards[i])
    return rewards


def main(n_rounds=20000, seed=0):
    """Print mean rewards over time; return the rewards of each learner."""
    images, digits = load_digits(return_X_y=True)
    shown = np.random.default_rng(seed).integers(len(images), size=n_rounds)
    contexts, best_arms = images[shown] / 16, digits[shown]
    learners = {
        "64-100-10": Bandit((100,), 0.1, seed),
        "linear": Bandit((), 0.1, seed),
        "random": Random(seed),
    }
    for hidden in ((100,), ()):  # compiles what learners call, or loads it from the cache
        play(Bandit(hidden, 0.1, seed), contexts[:2], best_arms[:2], seed)
    found, seconds = {}, {}
    for name, learner in learners.items():
        started = time.perf_counter()
        found[name] = play(learner, contexts, best_arms, seed)
        seconds[name] = time.perf_counter() - started
    print("mean reward in rounds" + "".join(f"{name:>12}" for name in found))
    n_shown = max(1, n_rounds // 10)
    for first in range(0, n_rounds, n_shown):
        means = [rewards[first : first + n_shown].mean() for rewards in found.values()]
        print(f"{first + 1:>10} to {first + n_shown:<7}" + "".join(f"{mean:12.3f}" for mean in means))
    print("us a round           " + "".join(f"{1e6 * taken / n_rounds:12.1f}" for taken in seconds.values()))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20000)
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1.")
    main(given.rounds)
