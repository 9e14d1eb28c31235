"""Finds, opens, inspects, converts and quantises models that users name."""
