"""The weights played as an instrument, and what comes of it: `noonsong evaluate --play`."""
