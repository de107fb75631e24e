"""Household events: envelope, payloads, and the one table of event types."""
