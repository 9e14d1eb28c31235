"""One fault of each kind, to show that its sanitizer is at work."""

cdef extern from *:
    """
    #include <limits.h>
    #include <stdlib.h>

    /* Read the byte after the last of a block of n. */
    static int fault_of_address(int n) {
        volatile char *block = calloc((size_t)n, 1);
        const int byte = block[n];
        free((void *)block);
        return byte;
    }
    static int fault_of_undefined(int n) {
        volatile int most = INT_MAX;
        return most + n;
    }
    /* Two threads add to one number. */
    static int fault_of_thread(int n) {
        volatile int sum = 0;
        #pragma omp parallel num_threads(2)
        for (int i = 0; i < n; i++) sum = sum + 1;
        return sum;
    }
    /* Two threads add to one number in turn: a barrier is between them. */
    static int no_fault(int n) {
        volatile int sum = 0;
        #pragma omp parallel num_threads(2)
        {
            #pragma omp master
            sum = sum + n;
            #pragma omp barrier
            #pragma omp critical
            sum = sum + n;
        }
        return sum;
    }
    """
    int fault_of_address(int n)
    int fault_of_undefined(int n)
    int fault_of_thread(int n)
    int no_fault(int n)


def address() -> int:
    return fault_of_address(100)


def undefined() -> int:
    return fault_of_undefined(100)


def thread() -> int:
    return fault_of_thread(100000)


def nothing() -> int:
    return no_fault(1)
