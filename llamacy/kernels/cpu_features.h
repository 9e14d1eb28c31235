/* CPU features that the CPU has and that its operating system lets programs use.
 *
 * cpu_features() returns a bit for each row of cpu_feature_table: bit i set
 * means this process may use that feature now. A feature the CPU has, but
 * whose registers the operating system does not save (XCR0, AMX permission),
 * is absent: an instruction of it would kill the process. If that permission
 * is what is missing, *refusal becomes the number of Linux's error, else 0.
 *
 * Sources: Intel SDM volume 1 chapters 13 and 14, volume 2 CPUID; Linux
 * Documentation/arch/x86/xstate.rst and Documentation/arch/arm64/elf_hwcaps.rst.
 */
#ifndef LLAMACY_CPU_FEATURES_H
#define LLAMACY_CPU_FEATURES_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(_M_X64)

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define CPU_MACHINE "x86_64"

enum cpu_register { EAX, EBX, ECX, EDX };

/* One row a feature: its name, the CPUID bit that tells it, the state it needs. */
struct cpu_feature {
    const char *name;
    uint32_t leaf, subleaf;
    enum cpu_register reg;
    int bit;
    uint64_t xcr0;
};

#define XCR0_AVX 0x6u         /* XMM and YMM */
#define XCR0_AVX512 0xe6u     /* and opmask, ZMM */
#define XCR0_AMX 0x600e6u     /* and TILECFG, TILEDATA */

static const struct cpu_feature cpu_feature_table[] = {
    {"sse4_2", 1, 0, ECX, 20, 0},
    {"avx", 1, 0, ECX, 28, XCR0_AVX},
    {"fma", 1, 0, ECX, 12, XCR0_AVX},
    {"f16c", 1, 0, ECX, 29, XCR0_AVX},
    {"avx2", 7, 0, EBX, 5, XCR0_AVX},
    {"bmi2", 7, 0, EBX, 8, 0},
    {"avx_vnni", 7, 1, EAX, 4, XCR0_AVX},
    {"avx512f", 7, 0, EBX, 16, XCR0_AVX512},
    {"avx512dq", 7, 0, EBX, 17, XCR0_AVX512},
    {"avx512bw", 7, 0, EBX, 30, XCR0_AVX512},
    {"avx512vl", 7, 0, EBX, 31, XCR0_AVX512},
    {"avx512vbmi", 7, 0, ECX, 1, XCR0_AVX512},
    {"avx512_vnni", 7, 0, ECX, 11, XCR0_AVX512},
    {"avx512_bf16", 7, 1, EAX, 5, XCR0_AVX512},
    {"amx_tile", 7, 0, EDX, 24, XCR0_AMX},
    {"amx_int8", 7, 0, EDX, 25, XCR0_AMX},
    {"amx_bf16", 7, 0, EDX, 22, XCR0_AMX},
};
#define CPU_N_FEATURES ((int)(sizeof cpu_feature_table / sizeof *cpu_feature_table))

static void cpu_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
#if defined(_MSC_VER) && !defined(__clang__)
    int regs[4];
    __cpuidex(regs, (int)leaf, (int)subleaf);
    for (int i = 0; i < 4; i++) out[i] = (uint32_t)regs[i];
#else
    __cpuid_count(leaf, subleaf, out[EAX], out[EBX], out[ECX], out[EDX]);
#endif
}

/* Register state the operating system saves and restores; 0 without XSAVE. */
static uint64_t cpu_xcr0(void) {
    uint32_t regs[4];
    cpu_cpuid(1, 0, regs);
    if (!(regs[ECX] >> 27 & 1)) return 0; /* OSXSAVE: XGETBV would fault */
#if defined(_MSC_VER) && !defined(__clang__)
    return _xgetbv(0);
#else
    /* Not the intrinsic: that one needs -mxsave. */
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
#endif
}

/* Whether the CPU has tiles, and the operating system saves them for those who ask. */
static int cpu_has_tiles(void) {
    uint32_t regs[4];
    cpu_cpuid(0, 0, regs);
    if (regs[EAX] < 7 || (cpu_xcr0() & XCR0_AMX) != XCR0_AMX) return 0;
    cpu_cpuid(7, 0, regs);
    return regs[EDX] >> 24 & 1;
}

/* Linux gives a process AMX's 8 KiB of tile data only when asked (since 5.16;
 * older kernels do not set its XCR0 bits). Once given it holds for all threads,
 * whose signal handlers need room for as much: while one has an alternate
 * signal stack without that room, the answer is ENOSPC. Elsewhere AMX is not
 * used. Returns the error's number, or 0. */
static int cpu_request_amx(void) {
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ? errno : 0;
#else
    return -1;
#endif
}

static uint64_t cpu_features(int *refusal) {
    uint64_t found = 0, xcr0 = cpu_xcr0();
    uint32_t regs[4], max_leaf, max_subleaf = 0;
    cpu_cpuid(0, 0, regs);
    max_leaf = regs[EAX];
    if (max_leaf >= 7) {
        cpu_cpuid(7, 0, regs);
        max_subleaf = regs[EAX];
    }
    const int error = cpu_has_tiles() ? cpu_request_amx() : 0;
    *refusal = error > 0 ? error : 0;
    if (error) xcr0 &= XCR0_AVX512;
    for (int i = 0; i < CPU_N_FEATURES; i++) {
        const struct cpu_feature *f = &cpu_feature_table[i];
        if (f->leaf > max_leaf || f->subleaf > max_subleaf) continue;
        cpu_cpuid(f->leaf, f->subleaf, regs);
        if ((regs[f->reg] >> f->bit & 1) && (xcr0 & f->xcr0) == f->xcr0)
            found |= (uint64_t)1 << i;
    }
    return found;
}

/* The maker's name as CPUID spells it, such as "GenuineIntel"; empty on other machines. */
static void cpu_vendor(char name[13]) {
    uint32_t regs[4];
    cpu_cpuid(0, 0, regs);
    memcpy(name, &regs[EBX], 4);
    memcpy(name + 4, &regs[EDX], 4);
    memcpy(name + 8, &regs[ECX], 4);
    name[12] = 0;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

#define CPU_MACHINE "aarch64"

/* One row a feature: its name (Linux's) and how each system tells it.
 * hwcap: bit of AT_HWCAP (word 1) or AT_HWCAP2 (word 2). windows: argument of
 * IsProcessorFeaturePresent, which older Windows answers with no. */
struct cpu_feature {
    const char *name;
    int word, bit;
    const char *sysctl;
    int windows;
};

static const struct cpu_feature cpu_feature_table[] = {
    {"asimd", 1, 1, "hw.optional.AdvSIMD", 19},
    {"asimdhp", 1, 10, "hw.optional.arm.FEAT_FP16", 67},
    {"asimddp", 1, 20, "hw.optional.arm.FEAT_DotProd", 43},
    {"i8mm", 2, 13, "hw.optional.arm.FEAT_I8MM", 66},
    {"bf16", 2, 14, "hw.optional.arm.FEAT_BF16", 68},
};
#define CPU_N_FEATURES ((int)(sizeof cpu_feature_table / sizeof *cpu_feature_table))

static int cpu_has(const struct cpu_feature *f) {
#if defined(__linux__)
    return getauxval(f->word == 1 ? 16 : 26) >> f->bit & 1; /* AT_HWCAP, AT_HWCAP2 */
#elif defined(__APPLE__)
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(f->sysctl, &value, &size, NULL, 0) == 0 && value;
#elif defined(_WIN32)
    return IsProcessorFeaturePresent((DWORD)f->windows);
#else
    return 0;
#endif
}

static uint64_t cpu_features(int *refusal) {
    uint64_t found = 0;
    *refusal = 0;
    for (int i = 0; i < CPU_N_FEATURES; i++)
        if (cpu_has(&cpu_feature_table[i])) found |= (uint64_t)1 << i;
    return found;
}

static void cpu_vendor(char name[13]) { name[0] = 0; }

#else /* other machines: only scalar is built, and there is nothing to ask */

#define CPU_MACHINE "other"
#define CPU_N_FEATURES 0
struct cpu_feature {
    const char *name;
};
static const struct cpu_feature cpu_feature_table[1] = {{""}};

static uint64_t cpu_features(int *refusal) { *refusal = 0; return 0; }

static void cpu_vendor(char name[13]) { name[0] = 0; }

#endif

#endif
