"""The command line."""

import sys
from contextlib import ExitStack

INTERRUPTED = 130
"""Exit status of what SIGINT ends, as shells have it."""


def main() -> None:
    """Run the command `numbabp`."""
    try:
        _run()
    except KeyboardInterrupt:  # before there was who handles signals; SIGTERM ended it then without a word
        if sys.stderr is not None:
            print("numbabp: interrupted.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _run() -> None:
    # not before it is called: the smoke run's second process has no use for them
    from .process.signals import SIGNALS
    from .process.streams import end_streams, open_closed_ones, tell, tell_warnings

    open_closed_ones()
    tell_warnings()
    with SIGNALS, ExitStack() as in_the_end:
        in_the_end.callback(end_streams)
        try:
            from .app import app

            app(prog_name="numbabp")
        except BaseException:
            if not SIGNALS.came:
                raise
        # while modules were imported, or options read: commands tell of theirs
        if SIGNALS.came:
            tell(SIGNALS.line())
            raise SystemExit(SIGNALS.status())
