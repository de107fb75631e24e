"""A load that a user sends to his own ingest, to see what his machine carries (`shouwang-ingest load-test`)."""
