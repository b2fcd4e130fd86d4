"""What is done for privacy: copies, erasure, the night's clearing away, reviews."""
