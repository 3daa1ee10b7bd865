"""Programming interface for anyone's video."""
