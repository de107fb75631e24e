"""The whole machine for its lines: three services, people in villages, a receiver of messages with a journal."""
