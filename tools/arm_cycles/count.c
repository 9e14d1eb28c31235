/* A plugin of qemu-user that writes the instructions that ran so far to the file named by
 * COUNT_FILE, a line whenever the program calls getppid().
 *
 * qemu's header for plugins is not in Debian's packages: what is used of its interface,
 * version 1, is declared here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct qemu_plugin_tb;
typedef void tb_callback(uint64_t id, struct qemu_plugin_tb *tb);
typedef void syscall_callback(uint64_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                              uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
enum { ADD_U64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_callback *callback);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *to, uint64_t n);
extern void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, syscall_callback *callback);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;

enum { GETPPID = 173 }; /* on aarch64 */

static uint64_t count;
static FILE *log_file;

static void on_block(uint64_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &count, qemu_plugin_tb_n_insns(tb));
}

static void on_syscall(uint64_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)vcpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != GETPPID) return;
    fprintf(log_file, "%llu\n", (unsigned long long)count);
    fflush(log_file);
}

EXPORTED int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    const char *path = getenv("COUNT_FILE");
    log_file = path ? fopen(path, "w") : NULL;
    if (!log_file) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
