FEATURES: frozenset[str]
MACHINE: str
REFUSAL: int

def vendor() -> str: ...
