"""Policyholders: who they are, who looks after them, and which user they sign in as."""
