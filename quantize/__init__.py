"""Makes the trained network small and fast: int8 weights, their file, and the engine that plays them."""
