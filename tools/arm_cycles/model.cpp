/* llama.cpp's side of instructions.py: reads prompts and generates greedily on one thread,
 * with a call of getppid() between the parts:
 *
 *   model FILE SHORT LONG GENERATED
 */
#include "llama.h"

#include <algorithm>
#include <cstdlib>
#include <unistd.h>
#include <vector>

static llama_context *context;

/* Read a prompt of n tokens, and generate. */
static void run(int n, int first, int generated) {
    llama_memory_clear(llama_get_memory(context), true);
    const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context)));
    std::vector<llama_token> tokens(static_cast<size_t>(n));
    for (int i = 0; i < n; i++) tokens[static_cast<size_t>(i)] = first + 7 * i % 1000;
    for (int i = 0; i < generated; i++) {
        if (llama_decode(context, llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size())))) exit(1);
        const float *logits = llama_get_logits_ith(context, -1);
        tokens = {static_cast<llama_token>(std::max_element(logits, logits + n_vocab) - logits)};
    }
    getppid();
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const int few = atoi(argv[2]), many = atoi(argv[3]), generated = atoi(argv[4]);
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 1;
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = 512;
    params.n_threads = params.n_threads_batch = 1;
    context = llama_init_from_model(model, params);
    if (!context) return 1;
    run(few, 300, 2);
    run(few, 301, 1);
    run(many, 302, 1);
    run(few, 303, 1 + generated);
    return 0;
}
