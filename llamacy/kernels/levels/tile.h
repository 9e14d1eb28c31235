/* A tile: 16 rows of 64 bytes, as one of AMX's matrix registers holds it. In memory its
 * rows follow one another. Levels with bfloat16 but without matrix registers read the
 * same layout. */
#ifndef LLAMACY_TILE_H
#define LLAMACY_TILE_H

enum { TILE_BYTES = 1024 };

#endif
