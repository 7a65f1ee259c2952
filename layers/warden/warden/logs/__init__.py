"""What AWS IoT logs about contained devices."""
