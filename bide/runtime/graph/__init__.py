"""What was declared. Pure."""
