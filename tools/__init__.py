"""Programs for developers: make ready, lock, check."""
