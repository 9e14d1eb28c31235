/* One level's decode_row under a name of its own: LEVEL is the level, HEADER its verbs. */
#include HEADER
#include "rows/decode_row.h"

#define NAMED(level) decode_row_##level
#define NAME(level) NAMED(level)

void NAME(LEVEL)(const packed_matrix *w, int64_t row, float *y);
void NAME(LEVEL)(const packed_matrix *w, int64_t row, float *y) { decode_row(w, row, y); }
