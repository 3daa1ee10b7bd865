"""Compiled operators and their PyTorch twins."""
