"""The command line."""


def main() -> None:
    """Run the command `numbabp`."""
    # not before it is called: the smoke run's second process has no use for them
    from .process.signals import SIGNALS
    from .process.streams import open_closed_ones, tell, tell_warnings

    open_closed_ones()
    tell_warnings()
    with SIGNALS:
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
