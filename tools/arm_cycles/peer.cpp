/* One of llama.cpp's products of repacked weights between two marks, for the trace of
 * __main__.py:
 *
 *   peer ROWS OUTPUTS K
 */
#include <cstddef>
#include <cstdlib>

extern "C" {
void KERNEL(int n, float *s, size_t bs, const void *vx, const void *vy, int nr, int nc);
__attribute__((noinline)) void trace_begins() { __asm__ volatile(""); }
__attribute__((noinline)) void trace_ends() { __asm__ volatile(""); }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const int rows = atoi(argv[1]), outputs = atoi(argv[2]), k = atoi(argv[3]);
    /* no type takes more bytes than weights */
    void *weights = calloc(2 * (size_t)k, (size_t)outputs), *x = calloc(2 * (size_t)k, (size_t)rows);
    float *y = static_cast<float *>(calloc(sizeof(float) * (size_t)outputs, (size_t)rows));
    if (!weights || !x || !y) return 1;
    trace_begins();
    KERNEL(k, y, (size_t)outputs, weights, x, rows, outputs);
    trace_ends();
    return 0;
}
