"""Measures what the project promises in seconds."""
