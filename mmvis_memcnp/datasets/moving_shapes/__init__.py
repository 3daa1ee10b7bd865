"""MovingShapes: a generated VIS data set, and the class that reads it."""
