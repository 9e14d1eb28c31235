"""Other libraries' calls on llamacy's models: a script changes its import, no more."""
