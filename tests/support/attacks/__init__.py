"""Attacks on a parent cluster with a hub, and the ground on which they are tried.

`ground.py` makes a parent with an honest child, hostile children, users, a bootstrap token and a listener; `honest.py`
publishes, reaches the child and registers clusters all the while and notes what it notices. The other files hold the
attacks, by who makes them: small functions that are listed by `attack`. An attack ends well if it was refused or had
no effect, and raises AssertionError if it succeeded. The tests of tests/hostile run each once; `make bench
PARTS=hostile` runs all of them at once and measures what honest clusters notice.
"""
