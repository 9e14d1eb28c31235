"""The fast executor: a pass recorded once, lowered to steps, run in one call."""
