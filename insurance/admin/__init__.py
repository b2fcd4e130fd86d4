"""The admins' overview and records that only they see: pages made of other features."""
