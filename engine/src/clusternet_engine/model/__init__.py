"""The rules of Clusternet: pure functions over plain objects, no I/O, no clock, no randomness."""
