"""How threads share out the parts of a phase, so that nobody has to be waited for.

One thread, the first, trains; the others help. It gives an order, a phase's number and what is to be done
in its parts, and then takes parts as all do: who is there takes the next one. What a part comes to is left in
memory of the thread that did it, and who that was stands in the part's word; sums over parts are taken in the
parts' order. So the bits are the same with any number of threads, however late they are.

A thread may be put off the processor amid a part. Where the first has nothing left to do, it does that part,
too, and takes what is ready first; who comes back later finds the phase over, and nobody reads what it wrote.
Only parts that change weights in place have to be waited for; they take a tenth of the time.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import aligned_zeros
from ...compiler.compiling import scalar_function
from .words import load_word, replace_word, store_word

PARTS = 16
"""Most parts of a phase, which every thread gets its share of; few, as their sums are added up."""
MOST_THREADS = PARTS
APART = 8
"""Words from one to the next: each on a cache line of its own."""
# Places of words, in `APART`: the phase, odd while it is prepared; whether help is over; order and parts.
PHASE, IS_OVER, ORDER, FIRST_PART = 0, 1, 2, 3
IS_OVER_AT = IS_OVER * APART
# What a part's word holds: the phase, then the thread that has taken it, then whether it is done.
OF_PHASE, OF_THREAD = 64, 2
# Kinds of phases.
SWEEP, BEGIN, CATCH_UP = range(3)


class Order(NamedTuple):
    """What is to be done in a phase."""

    kind: Any
    layer: Any
    first: Any  # of the samples whose steps the weights lack
    t: Any  # the sample, or the end of those that a product takes
    back: Any  # whether sample t goes back
    forth: Any  # the sample that goes forth, or -1
    updated: Any
    descending: Any  # whether the last part is the first


class Crew(NamedTuple):
    """What the threads share beside the block; row w of the scratch is thread w's."""

    words: np.ndarray  # int64
    z: np.ndarray  # T (n_threads, n_units)
    a: np.ndarray  # T (n_threads, n_units)
    delta: np.ndarray  # T (n_threads, n_units)
    sums: np.ndarray  # T (n_threads, PARTS, widest layer), of the pre-activations
    dots: np.ndarray  # T (n_threads, PARTS, sub-block + 1), of activations with those of earlier samples
    rates: np.ndarray  # T (1,), of the biases' steps


def make_crew(n_threads: int, n_units: int, widest: int, sub_block: int, dtype: np.dtype) -> Crew:
    """Scratch for so many threads, at least 1 and at most MOST_THREADS."""
    z, a, delta = aligned_zeros((3, n_threads, n_units), dtype)
    line = 64 // dtype.itemsize
    widest, n_dots = (-(-n // line) * line for n in (widest, sub_block + 1))
    return Crew(
        aligned_zeros((FIRST_PART + PARTS) * APART, np.int64),
        z,
        a,
        delta,
        aligned_zeros((n_threads, PARTS, widest + line), dtype),
        aligned_zeros((n_threads, PARTS, n_dots), dtype),
        np.zeros(1, dtype),
    )


@scalar_function
def part_size(n: Any, multiple: Any) -> int:
    """Of so many rows or columns, a multiple of so many, in at most PARTS parts."""
    size: int = -(-np.int64(n) // (PARTS * multiple)) * multiple
    return size


@scalar_function
def n_parts(n: Any, multiple: Any) -> int:
    """How many there are."""
    parts: int = -(-np.int64(n) // part_size(n, multiple))
    return parts


@scalar_function
def give_order(crew: Any, order: Any) -> int:
    """Begin a phase; its number."""
    words = crew.words
    phase: int = words[PHASE * APART] + 2
    store_word(words, PHASE * APART, phase - 1)  # who reads the order meanwhile reads it again
    at = ORDER * APART
    words[at] = order.kind + 4 * (
        order.layer + 256 * (order.back + 2 * (order.updated + 2 * order.descending))
    )
    words[at + 1] = order.first
    words[at + 2] = order.t
    words[at + 3] = order.forth
    store_word(words, PHASE * APART, phase)
    return phase


@scalar_function
def read_order(crew: Any) -> Any:
    """The order, which is one only if the phase is the same before and after."""
    at = ORDER * APART
    packed = crew.words[at]
    kind, layer, flags = packed & 3, packed >> 2 & 255, packed >> 10
    return Order(
        kind,
        layer,
        crew.words[at + 1],
        crew.words[at + 2],
        flags & 1,
        crew.words[at + 3],
        flags >> 1 & 1,
        flags >> 2,
    )


@scalar_function
def word_of(part: Any) -> int:
    """Where a part's word is."""
    at: int = (FIRST_PART + part) * APART
    return at


@scalar_function
def next_part(share: Any, n: Any, i: Any, descending: Any) -> int:
    """The i-th part of n that a thread looks at: those of its own share first, then other threads'.

    A share lies together and is the same in every phase, so that what fits stays in the thread's caches; one
    phase ends with what the next one begins with, where they go over the same weights up and down.

    Parameters
    ----------
    share
        Beginning and end.
    """
    begin, end = share
    part: int = (end - 1 - i) % n if descending else (begin + i) % n
    return part


@scalar_function
def take(crew: Any, part: Any, phase: Any, thread: Any) -> bool:
    """Whether the part was free and is this thread's now."""
    at = word_of(part)
    word = load_word(crew.words, at)
    taken = phase * OF_PHASE + thread * OF_THREAD
    return word < phase * OF_PHASE and replace_word(crew.words, at, word, taken)


@scalar_function
def hand_in(crew: Any, part: Any, phase: Any, taken_by: Any, done_by: Any) -> bool:
    """Whether the part was not done, and counts as done by this thread now."""
    taken = phase * OF_PHASE + taken_by * OF_THREAD
    return replace_word(crew.words, word_of(part), taken, phase * OF_PHASE + done_by * OF_THREAD + 1)


@scalar_function
def done_by(crew: Any, part: Any) -> int:
    """The thread that did a part of the present phase."""
    thread: int = crew.words[word_of(part)] % OF_PHASE // OF_THREAD
    return thread
