/* Reading memory as fast as it can be read: in several streams, prefetched.
 *
 * Loads are of 16 bytes, which all CPUs that llamacy is built for have: memory is the limit,
 * not the loads.
 */
#ifndef LLAMACY_ROOFLINE_H
#define LLAMACY_ROOFLINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t two_words __attribute__((vector_size(16)));

/* Bytes of one stream that are read before the next one's turn: four cache lines. */
enum { READ_BLOCK = 256, READ_LINE = 64 };

/* The sum of the 64-bit words in n_streams stretches of `stream` bytes each, whole blocks,
 * one after another. They are read side by side, each line prefetched `ahead` bytes
 * before it is read. */
static uint64_t read_streams(const uint8_t *data, size_t stream, int n_streams, size_t ahead) {
    two_words sums[4] = {{0}};
    for (size_t at = 0; at < stream; at += READ_BLOCK)
        for (int s = 0; s < n_streams; s++) {
            const uint8_t *block = data + (size_t)s * stream + at;
            for (int line = 0; line < READ_BLOCK; line += READ_LINE) {
                __builtin_prefetch(block + ahead + line);
                for (int i = 0; i < 4; i++) {
                    two_words words;
                    memcpy(&words, block + line + 16 * i, sizeof words);
                    sums[i] += words;
                }
            }
        }
    sums[0] += sums[1] + sums[2] + sums[3];
    return sums[0][0] + sums[0][1];
}

#endif
