#define LEVEL_NAME "amx_emulated"
#include "avx512.h"
