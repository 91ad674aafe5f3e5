"""Experiments that are live: ratios, layers, hold-out and kill switch in a document of the engine."""
