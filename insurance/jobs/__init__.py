"""What runs by itself: the nightly run and the worker."""
