"""Pictures of results, uncertainty and memory."""
