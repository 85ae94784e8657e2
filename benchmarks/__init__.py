"""The asv suites, one file a concern; benchmarks/peers compares with other systems in one run."""
