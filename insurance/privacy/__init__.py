"""What a person may ask for, what is kept for how long, and who has access."""
