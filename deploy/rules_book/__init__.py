"""The rules in words, made from the catalogue, the core and the default policy."""
