#!/usr/bin/env bash
# gcc 12.2 (Debian 12, 12.2.0-14+deb12u1), -O2: _tile_loadconfig(), the intrinsic that tells
# AMX the shapes of its matrix registers, takes 64 bytes and is compiled as if it read 8.
# Stores to the other 56, which hold all rows and columns, are dropped as dead, so the CPU
# gets shapes of whatever was on the stack. The compiler says nothing, and -O0 is right.
#
# The header's inline assembly has one pointer, 8 bytes, as its operand. Written by hand, with
# the whole struct as the operand, the instruction keeps all its stores. It is compiled and
# not run: no CPU with AMX is needed.
#
# Seen, of a configuration with eight tiles of 16 rows and 64 bytes:
#   intrinsic -O0: stores shapes, ldtilecfg
#   intrinsic -O2: no shapes, ldtilecfg
#   by hand -O2: stores shapes, ldtilecfg
#
# Needs Debian 12's apt-get, of which it installs nothing. Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
version=12.2.0-14+deb12u1
apt-get update -qq
apt-get download -qq "cpp-12=$version" "gcc-12=$version" "libgcc-12-dev=$version" \
    libisl23 libmpc3 libmpfr6 libgmp10 2>log || { cat log; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done

cat >tiles.c <<'END'
#define _IMMINTRIN_H_INCLUDED /* the whole of it would need a C library's headers */
#include <amxtileintrin.h>

typedef struct {
    unsigned char palette, start_row, reserved[14];
    unsigned short row_bytes[16];
    unsigned char rows[16];
} shapes;

static void load(const shapes *s) {
#ifdef BY_HAND
    __asm__ volatile("ldtilecfg %0" ::"m"(*s));
#else
    _tile_loadconfig(s);
#endif
}

void begin(void) {
    shapes s = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        s.row_bytes[i] = 0x40;
        s.rows[i] = 0x10;
    }
    load(&s);
}
END

# compiled NAME FLAGS...: whether the constants of the shapes are anywhere in the code.
compiled() {
    local name=$1 shapes="no shapes"
    LD_LIBRARY_PATH=$(echo root/usr/lib/*-linux-gnu) root/usr/bin/*-gcc-12 \
        -B "$PWD/root/usr/lib/gcc/x86_64-linux-gnu/12/" \
        -isystem "$PWD/root/usr/lib/gcc/x86_64-linux-gnu/12/include" \
        -mamx-tile "${@:2}" -S tiles.c -o code.s
    # 64 as a word and 16 as a byte; or 4 and 8 of them as one constant
    if grep -Eq '\$(64|16),|1157442765409226768' code.s; then
        shapes="stores shapes"
    fi
    echo "$name: $shapes, $(grep -o ldtilecfg code.s)"
}
{
    compiled "intrinsic -O0" -O0
    compiled "intrinsic -O2" -O2
    compiled "by hand -O2" -O2 -DBY_HAND
} | tee found

cat >wanted <<'END'
intrinsic -O0: stores shapes, ldtilecfg
intrinsic -O2: no shapes, ldtilecfg
by hand -O2: stores shapes, ldtilecfg
END
diff wanted found || { echo "gcc compiles it in another way"; exit 1; }
