"""The step in C, and what compiles it."""
