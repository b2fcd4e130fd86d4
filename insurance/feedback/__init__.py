"""Feedback: what users say about a page, read and answered by admins."""
