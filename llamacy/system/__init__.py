"""What the operating system offers: threads, memory, forks, whole files."""
