"""Plays: board -> wire -> controls -> player -> scheduler -> outputs. Runs on the Pi; never imports torch."""
