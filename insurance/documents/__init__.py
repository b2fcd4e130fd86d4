"""Issued documents, archived as issued, and uploaded files."""
