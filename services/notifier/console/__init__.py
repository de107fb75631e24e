"""The console: pages rendered on the server that work without scripts, on a phone."""
