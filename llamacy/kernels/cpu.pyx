"""The CPU features that the CPU and its operating system let this process use.

`FEATURES` are spelled as in Linux's `/proc/cpuinfo`; `REFUSAL` is the number of the
error with which Linux refuses AMX, or 0.

Built without flags: it runs on any CPU, before any code compiled for a level does.
"""

from libc.stdint cimport uint64_t

cdef extern from "cpu_features.h" nogil:
    const char *CPU_MACHINE
    const int CPU_N_FEATURES
    ctypedef struct cpu_feature:
        const char *name
    const cpu_feature cpu_feature_table[]
    uint64_t cpu_features(int *refusal)
    void cpu_vendor(char *name)


def _ask():
    """Ask for the features that may be used, and why Linux refuses AMX."""
    cdef int refusal
    cdef uint64_t found = cpu_features(&refusal)
    names = [
        cpu_feature_table[i].name.decode("ascii")
        for i in range(CPU_N_FEATURES)
        if found >> i & 1
    ]
    return frozenset(names), refusal


MACHINE = CPU_MACHINE.decode("ascii")

# Asked once, for all threads: later Linux may answer otherwise, as other threads run.
FEATURES, REFUSAL = _ask()


def vendor():
    """Return the maker's name as x86 CPUs tell it, `"GenuineIntel"` say; or `""`."""
    cdef char[13] name
    cpu_vendor(name)
    return (<bytes>name).decode("ascii", "replace")
