"""The HTTP edge: takes household events, checks them, and puts them on the log."""
