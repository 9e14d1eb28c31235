/* b_products on matrix tiles: 2 products for 3 loads, which take less time than they. */
#ifndef LLAMACY_TILE_PRODUCTS_H
#define LLAMACY_TILE_PRODUCTS_H

/* Always of 16 rows: fewer take a tile instruction as long. */
INLINE void b_products(int rows, const uint8_t *a, const uint8_t *b, size_t b_step, int n, float *c, size_t ldc,
                       int adds) {
    (void)rows;
    if (adds) {
        T_LOAD(0, c, sizeof *c * ldc);
        T_LOAD(1, c + 16, sizeof *c * ldc);
    } else {
        T_ZERO(0);
        T_ZERO(1);
    }
    for (size_t at = 0; at < (size_t)n * TILE_BYTES; at += TILE_BYTES) {
        T_LOAD(4, a + at, 64);
        T_LOAD(6, b + at, 64);
        T_DOT(0, 4, 6);
        T_LOAD(7, b + b_step + at, 64);
        T_DOT(1, 4, 7);
    }
    T_STORE(0, c, sizeof *c * ldc);
    T_STORE(1, c + 16, sizeof *c * ldc);
}

#endif
