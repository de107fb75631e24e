"""What the scorer's lines are measured with: a seeded database, a filled topic, and the statements it writes."""
