"""Clip-level data transforms."""
