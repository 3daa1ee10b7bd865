"""Assigners and other registered task utilities."""
