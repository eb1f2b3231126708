"""Where notes leave the instrument."""
