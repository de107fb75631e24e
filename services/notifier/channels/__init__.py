"""How people are told: a port, and one adapter per channel."""
