"""The operating system: CPU count, free memory, forks, atomic file writes."""
