"""Benchmarks: what the node pays for its Services, as ratios measured in one run."""
