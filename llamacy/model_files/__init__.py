"""Model files, as users name them: find, open, inspect, convert and quantise."""
