"""Containers of results."""
