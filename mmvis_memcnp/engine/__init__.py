"""Hooks, loops and checkpoint handling."""
