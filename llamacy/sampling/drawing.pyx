"""The chain that most texts are drawn by, in C: top-k, top-p, min-p, temperature.

It does what `llamacy.sampling.sampler` does in NumPy for all chains. Some twenty calls
of NumPy for a few candidates take 60 microseconds, and three times as long where a pass
has just filled the caches with weights: as much as half of a pass of a tiny model.
"""

from libc.math cimport INFINITY, exp, isfinite, log


cdef enum:
    _MOST = 256
    _GROUP = 32  # logits whose largest is compared first

MOST_KEPT = _MOST
"""The largest top-k of `draw`."""


cdef struct candidate:
    float logit
    int token


def draw(
    const float[::1] logits, int top_k, double top_p, double min_p,
    double temperature, double uniform,
):
    """Draw a token.

    Parameters
    ----------
    logits : float32, (n_vocab,)
        Logits without NaN, at least one of them finite.
    top_k : int
        1 to `MOST_KEPT`, at most `n_vocab`.
    top_p, min_p : float
        As in `SamplingParams`.
    temperature : float
        Above 0.
    uniform : float
        A random number from 0 to 1, which decides.

    Returns
    -------
    int
        Id of the token.

    Raises
    ------
    ValueError
        Another `top_k`, or no finite logit.
    """
    if not 1 <= top_k <= min(_MOST, logits.shape[0]):
        raise ValueError(f"top_k: wanted 1 to {_MOST} tokens, found {top_k}")
    cdef candidate kept[_MOST]
    cdef double weights[_MOST]
    cdef double x, total = 0, least = -INFINITY, drawn
    cdef int i, n = top_k
    keep_largest(&logits[0], logits.shape[0], kept, n)
    if not isfinite(kept[0].logit):
        raise ValueError(f"logits: wanted a finite one, found {kept[0].logit}")
    while kept[n - 1].logit == -INFINITY:
        n -= 1
    if top_p < 1:
        n = count_likeliest(kept, n, top_p)
    if min_p > 0:
        least = log(min_p)
    for i in range(n):
        x = relative(kept, i)
        if x < least:
            n = i
            break
        total += exp(x / temperature)
        weights[i] = total
    drawn = uniform * total
    for i in range(n - 1):
        if weights[i] > drawn:
            return kept[i].token
    return kept[n - 1].token


cdef double relative(const candidate* kept, int i) noexcept:
    """A logit minus the largest, rounded to float32 as in NumPy."""
    cdef float x = kept[i].logit - kept[0].logit
    return x


cdef int count_likeliest(const candidate* kept, int n, double share) noexcept:
    """Count the likeliest candidates whose probabilities reach a share; at least 1."""
    cdef double total = 0, reached = 0
    cdef int i
    for i in range(n):
        total += exp(relative(kept, i))
    for i in range(n):
        reached += exp(relative(kept, i)) / total
        if reached >= share:
            return i + 1
    return n


cdef void keep_largest(
    const float* logits, Py_ssize_t n, candidate* kept, int k
) noexcept:
    """Find the k largest logits, largest first, and equal ones by rising id."""
    cdef Py_ssize_t first, i
    cdef int j
    cdef float largest
    cdef candidate worst
    for i in range(k):
        kept[i].logit, kept[i].token = logits[i], <int>i
    for j in range(k // 2 - 1, -1, -1):
        sift(kept, k, j)
    first = k
    while first < n:  # most groups have nothing above the worst that is kept
        largest = -INFINITY
        for i in range(first, min(first + _GROUP, n)):
            largest = logits[i] if logits[i] > largest else largest
        if largest > kept[0].logit:
            for i in range(first, min(first + _GROUP, n)):
                if logits[i] > kept[0].logit:
                    kept[0].logit, kept[0].token = logits[i], <int>i
                    sift(kept, k, 0)
        first += _GROUP
    for j in range(k - 1, 0, -1):
        worst, kept[0] = kept[0], kept[j]
        kept[j] = worst
        sift(kept, j, 0)


cdef void sift(candidate* heap, int n, int i) noexcept:
    """Let a candidate sink until it is worse than the two below it.

    The worst of a heap is at its top: the smallest logit, of equal ones the last.
    """
    cdef int below
    cdef candidate moved = heap[i]
    while (below := 2 * i + 1) < n:
        if below + 1 < n and is_worse(&heap[below + 1], &heap[below]):
            below += 1
        if not is_worse(&heap[below], &moved):
            break
        heap[i] = heap[below]
        i = below
    heap[i] = moved


cdef bint is_worse(const candidate* a, const candidate* b) noexcept:
    return a.logit < b.logit or (a.logit == b.logit and a.token > b.token)
