"""Benchmarks: each module measures one thing and can be run by itself; `report` runs them and writes docs/benchmarks.md."""
