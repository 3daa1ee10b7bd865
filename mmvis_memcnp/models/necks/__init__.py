"""Necks that mmdet lacks."""
