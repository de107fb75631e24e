"""Bugs that the self-test plants into the services from outside; production code knows nothing of them."""
