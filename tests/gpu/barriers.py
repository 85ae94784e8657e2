"""Barriers of kernels that were run with their accesses on record, and what happens without each of them."""

ALONE = ("warp_barrier", "block_barrier")
"""Functions that are one barrier: a barrier stands where they are called."""
SEVERAL = ("barrier_of_grid",)
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
    """Whether one of the runs finds something if the barriers of a line do nothing."""
    recorder.left_out = lambda site: line in site.lines
    for run in runs:
        with recorder.collected() as found:
            try:
                run()
            except Exception as error:  # what is computed from what is not there yet; or threads are stuck
                found.append(error)
        if found:
            return True
    return False
