"""Where the instrument is played from: knobs, voltages, MIDI, OSC."""
