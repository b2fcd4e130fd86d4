"""What agents earn on the business that they bring."""
