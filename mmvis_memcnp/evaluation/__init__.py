"""Scores of predicted tracks."""
