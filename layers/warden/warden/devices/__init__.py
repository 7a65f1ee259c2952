"""Jobs on devices, their requests, and the rotation of their certificates."""
