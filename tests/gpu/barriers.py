"""Barriers of kernels that were run with their accesses on record, and what happens without each of them."""

ALONE = ("warp_barrier", "block_barrier")
"""Functions that are one barrier: a barrier stands where they are called."""
SEVERAL = ("barrier_of_grid", "arrive_at_grid", "wait_for_grid")
"""That are made of several, each of which counts, and all of them together."""


def lines_with_barriers(sites):
    """Lines of Python that are barriers, in the order of their files."""
    found = set()
    for site in sites:
        lines = list(site.lines)
        if lines[0].function in ALONE:
            del lines[0]
        found.add(lines[0])
        if lines[0].function in SEVERAL:
            found.add(lines[1])
    return sorted(found)


def is_found_without(line, recorder, runs):
    """Whether one of the runs finds a race, or an access outside, if the barriers of a line do nothing."""
    from benchmarks.on_gpu.compiled.launching import Stuck
    from benchmarks.on_gpu.compiled.stand_in import Unsafe

    recorder.left_out = lambda site: line in site.lines
    for run in runs:
        try:
            run()
        except (Unsafe, Stuck):
            return True
    return False


def harmless_barriers(kernel, recorder, runs):
    """Lines of a kernel, by name, that are barriers in some of the runs, but that none of them needs.

    The kernel's other barriers, to which no run comes, are among them.
    """
    of_run = []
    for run in runs:
        recorder.reached.clear()
        run()
        of_run.append((run, lines_with_barriers(recorder.reached)))
    lines = lines_with_barriers(recorder.barriers[kernel])
    return lines, [
        str(line)
        for line in lines
        if not is_found_without(line, recorder, [run for run, reached in of_run if line in reached])
    ]
