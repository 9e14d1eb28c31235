"""Builds of the extension modules with clang's sanitizers, and test runs of these."""
