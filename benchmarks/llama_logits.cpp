// llama.cpp's logits for given tokens: llama_logits MODEL THREADS BATCH < int32 tokens > float32 logits.
// BATCH tokens are read per call; logits come out for every position, one row of the vocabulary each.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "llama.h"

int main(int argc, char ** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: llama_logits MODEL THREADS BATCH\n");
        return 2;
    }
    const int threads = std::atoi(argv[2]), per_call = std::atoi(argv[3]);
    std::vector<int32_t> tokens;
    for (int32_t token; std::fread(&token, sizeof token, 1, stdin) == 1;) tokens.push_back(token);

    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (model == nullptr) return 1;
    llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = tokens.size() + 16;
    parameters.n_batch = parameters.n_ubatch = per_call;
    parameters.n_threads = parameters.n_threads_batch = threads;
    llama_context * context = llama_init_from_model(model, parameters);
    if (context == nullptr) return 1;
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));

    llama_batch batch = llama_batch_init(per_call, 0, 1);
    for (size_t start = 0; start < tokens.size(); start += per_call) {
        batch.n_tokens = 0;
        for (size_t at = start; at < tokens.size() && at < start + per_call; ++at, ++batch.n_tokens) {
            batch.token[batch.n_tokens] = tokens[at];
            batch.pos[batch.n_tokens] = at;
            batch.n_seq_id[batch.n_tokens] = 1;
            batch.seq_id[batch.n_tokens][0] = 0;
            batch.logits[batch.n_tokens] = 1;
        }
        if (llama_decode(context, batch) != 0) return 1;
        for (int row = 0; row < batch.n_tokens; ++row)
            std::fwrite(llama_get_logits_ith(context, row), sizeof(float), vocabulary, stdout);
    }
    return 0;
}
