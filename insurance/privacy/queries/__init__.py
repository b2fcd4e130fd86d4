"""Every SELECT of privacy."""
