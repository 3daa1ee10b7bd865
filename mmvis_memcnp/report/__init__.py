"""One HTML page about a results file; neither torch nor mmdet is needed."""
