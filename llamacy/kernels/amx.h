#define LEVEL_NAME "amx"
#include "avx512.h"
