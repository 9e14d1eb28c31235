"""The CPU features that the CPU and its operating system let this process use.

Built without flags: it runs on any CPU, before any code compiled for a level does.
"""

from libc.stdint cimport uint64_t

cdef extern from "cpu_features.h" nogil:
    const char *CPU_MACHINE
    const int CPU_N_FEATURES
    ctypedef struct cpu_feature:
        const char *name
    const cpu_feature cpu_feature_table[]
    uint64_t cpu_features()
    int cpu_refusal()
    void cpu_vendor(char *name)


MACHINE = CPU_MACHINE.decode("ascii")


def features():
    """Return the features that may be used, spelled as in Linux's `/proc/cpuinfo`."""
    cdef uint64_t found = cpu_features()
    names = [
        cpu_feature_table[i].name.decode("ascii")
        for i in range(CPU_N_FEATURES)
        if found >> i & 1
    ]
    return frozenset(names)


def refusal():
    """Return the number of the error with which Linux refuses AMX, or 0."""
    return cpu_refusal()


def vendor():
    """Return the maker's name as x86 CPUs tell it, `"GenuineIntel"` say; or `""`."""
    cdef char[13] name
    cpu_vendor(name)
    return (<bytes>name).decode("ascii", "replace")
