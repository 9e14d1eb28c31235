#!/usr/bin/env bash
# gcc 12.2 (Debian 12, 12.2.0-14+deb12u1), -O1 and up: a static function that only prefetches
# is taken for one without effects, and calls of it are removed. The loop that a kernel has
# moved into a function of its own, for the reader, prefetches nothing from then on, and
# nothing warns: -Wall -Wextra have no word about it, results are the same, only slower.
#
# Written in the caller the same loop keeps its prefetches, and so it does in a function that
# is always_inline, which is inlined before gcc looks for effects. Small functions are inlined
# early, too, so that it depends on the size of what surrounds the loop; `noinline` here
# stands for functions that are not small.
#
# Seen, prefetches in the code:
#   a function -O0: 1
#   a function -O1: 0
#   a function -O3: 0
#   always inline -O3: 1
#
# Needs Debian 12's apt-get, of which it installs nothing. Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
version=12.2.0-14+deb12u1
apt-get update -qq
apt-get download -qq "cpp-12=$version" "gcc-12=$version" \
    libisl23 libmpc3 libmpfr6 libgmp10 2>log || { cat log; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done

cat >fetch.c <<'END'
typedef struct {
    const char *rows[8];
    unsigned long bytes;
} table;

static KIND void fetch_row(const table *t, int i) {
    if (!t->rows[i]) return;
    for (unsigned long at = 0; at < t->bytes; at += 64) __builtin_prefetch(t->rows[i] + at);
}

void fetch_rows(const table *t, int n) {
    for (int i = 0; i < n; i++) fetch_row(t, i);
}
END

# prefetches NAME KIND FLAG: how many instructions that fetch are in the code.
prefetches() {
    LD_LIBRARY_PATH=$(echo root/usr/lib/*-linux-gnu) root/usr/bin/*-gcc-12 \
        -B "$PWD/root/usr/lib/gcc/x86_64-linux-gnu/12/" \
        -Wall -Wextra -Werror "-DKIND=$2" "$3" -S fetch.c -o code.s
    echo "$1 $3: $(grep -c "prefetcht0" code.s || true)"
}
{
    prefetches "a function" "__attribute__((noinline))" -O0
    prefetches "a function" "__attribute__((noinline))" -O1
    prefetches "a function" "__attribute__((noinline))" -O3
    prefetches "always inline" "inline __attribute__((always_inline))" -O3
} | tee found

cat >wanted <<'END'
a function -O0: 1
a function -O1: 0
a function -O3: 0
always inline -O3: 1
END
diff wanted found || { echo "gcc compiles it in another way"; exit 1; }
