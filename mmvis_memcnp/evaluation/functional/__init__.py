"""Pure NumPy scores, free of any framework."""
