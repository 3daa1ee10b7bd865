"""mmengine metrics around the functional scores."""
