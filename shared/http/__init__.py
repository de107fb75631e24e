"""What the HTTP edges share: problem documents, health, metrics and bearer keys."""
