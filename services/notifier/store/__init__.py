"""The notifier's rows: alerts, deliveries, staff, sessions. The only SQL beside that of the console's pages."""
