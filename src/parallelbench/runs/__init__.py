"""Plan, execution and store of runs."""
