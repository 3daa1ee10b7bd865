"""Video data sets, transforms and samplers."""
