"""The log: what the services ask of it (`ports`), how it is consumed (`consumer_loop`), and Kafka (`kafka`)."""
