"""Measures what the project promises in figures."""
