"""Folders, zips and music21's corpus -> pieces with their provenance, and what was left out and why."""
