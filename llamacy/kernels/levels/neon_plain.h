/* The verbs of neon.h without dot products, which ARMv8.0 does not have: of bytes in two steps. */
#ifndef LLAMACY_NEON_PLAIN_H
#define LLAMACY_NEON_PLAIN_H

#define LEVEL_NAME "neon_plain"
#include "levels/neon.h"

#endif
