"""Frame networks."""
