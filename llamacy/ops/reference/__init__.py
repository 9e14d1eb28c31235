"""The reference executor: NumPy, float32, eager. Slow, obvious, the truth for tests.

`operations.py` has the vocabulary, with `elementwise.py`, `recurrence.py` and
`routing.py` as parts of it; `sequence.py` has what layers keep of a text; `executor.py`
runs a model on them. `chunks.py` has other forms of recurrences, for tests.
"""

from llamacy.ops.reference.executor import ReferenceExecutor
from llamacy.ops.reference.sequence import ReferenceSequence

__all__ = ["ReferenceExecutor", "ReferenceSequence"]
