"""What maintainers alone use: the lab, the demo, the checks, the benchmarks and what writes pages. Never shipped."""
