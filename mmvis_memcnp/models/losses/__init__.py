"""Losses that mmdet lacks."""
