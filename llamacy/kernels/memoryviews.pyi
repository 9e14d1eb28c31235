"""Cython's memoryview type, of which all compiled modules share this one."""
