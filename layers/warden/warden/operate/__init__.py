"""What operators may ask."""
