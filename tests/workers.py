"""Workers to share work out to."""


def two_workers():
    """Of one thread each, in processes of their own."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    )
