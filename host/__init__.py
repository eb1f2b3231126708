"""Plays: board -> wire -> controls -> player -> scheduler -> outputs. Runs on the Pi and never imports torch."""
