"""Mails: written from the outbox's rows and delivered."""
