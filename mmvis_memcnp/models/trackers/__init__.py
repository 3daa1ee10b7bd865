"""Trackers composed of an association and a memory."""
