"""The fast executor: a pass is recorded once, lowered to steps, and run in one call.

::

    graph    recorder.py, fusion.py    operations, and which of them become one step
    steps    lowering.py, step.py      the program as a list; operands by name
             *_steps.py, emitter.py    the operations that become steps in their own way
    passes   barriers.py, buffers.py   which steps wait; where values are in memory
    C        steps.pyx, step.h         each step as a struct, which filling.pxi fills
    run      runtime.pyx, team.h       threads that share the items of steps
             batch_rows.pxi            rows of a batch as kernels read them
             perform.h                 a kernel called for some items of a step
    figures  cost.py, explaining.py    bytes, operations, seconds

`compiling.py` makes a program of a forward pass, `running.py` runs batches on it, and
`plan.py` holds both for a model; `packed_weights.py` has the weights.
"""
