"""Systems, one file each: a paper's pipeline, top to bottom."""
