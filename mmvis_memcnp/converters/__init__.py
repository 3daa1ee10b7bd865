"""Official checkpoints to the key names of this package."""
