"""Memory-based conditional neural process, independent of its host."""
