"""Pure values and laws: standard library only, no I/O, no clock, no randomness."""
