"""Decisions of the notifier: values and `now` in, a decision with its reason out. No I/O, no clock, no logging."""
