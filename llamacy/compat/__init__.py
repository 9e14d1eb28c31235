"""Other libraries' APIs on llamacy's models: a script changes only its import."""
