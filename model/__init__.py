"""Learns: archive -> tokens -> dataset -> transformer -> weights. Runs on a workstation, tokens and conditioning also on the box."""
