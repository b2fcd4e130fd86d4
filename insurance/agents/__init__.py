"""The agents' desk: pages made of other features."""
