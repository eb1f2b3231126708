"""Clocks of others, followed: MIDI clock, gate pulses, Ableton Link."""
