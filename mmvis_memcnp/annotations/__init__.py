"""Annotations of other tools, read for a YouTube-VIS style json.

A format a file, and one writer. Imports neither torch nor mmdet.
"""
