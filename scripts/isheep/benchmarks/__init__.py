"""Benchmarks: how each is asked, judged and scored, and the result record."""
