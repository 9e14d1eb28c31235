"""A model in memory: loading it, the executor that runs it, its adapters."""
