"""Learns: archive -> tokens -> dataset -> transformer -> weights.

Runs on a workstation; tokens.py, conditioning.py and errors.py also run on the box.
"""
