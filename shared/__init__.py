"""What the three services share: contracts, the log, the database, and how a process lives and ends."""

__version__ = "0.1.0"
