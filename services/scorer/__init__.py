"""The scorer: from events on the log to each household's grade, with reasons, in one SQL transaction per batch."""
