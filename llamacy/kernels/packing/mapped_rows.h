/* A matrix whose rows stay in a file: each is packed as it is read, into a panel of its own. */
#ifndef LLAMACY_MAPPED_ROWS_H
#define LLAMACY_MAPPED_ROWS_H

#include <stddef.h>
#include <stdint.h>

typedef struct mapped_rows {
    const uint8_t *data; /* rows as the file has them, row_bytes each */
    size_t row_bytes, k;
    int type;                 /* a ggml_type */
    const uint8_t *codebook;  /* of that type, or NULL */
    /* Row `row` becomes row 0 of a panel, whose other rows are zero. */
    void (*pack)(const struct mapped_rows *rows, int64_t row, uint8_t *panel);
} mapped_rows;

#endif
