"""What stands around ingest in its lines: what is asked of it, who asks, and the ceilings beside it."""
