"""Texts that grow, turn by turn, and how they are kept on disk."""
