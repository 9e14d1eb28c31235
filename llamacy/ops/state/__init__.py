"""What sequences keep between forward passes."""
