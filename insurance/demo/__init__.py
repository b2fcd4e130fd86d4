"""A believable portfolio, made by the services."""
