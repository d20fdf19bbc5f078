/* What a step works on. Structures up to Step mirror those in chatterm/model/native/binding.py. */
#ifndef CHATTERM_ENGINE_H
#define CHATTERM_ENGINE_H

#include <time.h>
#include "pool.h"
#include "tiles.h"

enum { RMS = 0, LAYER = 1 };
enum { MATRICES = 3 }; /* multiplied with the same rows in one phase, at most */
enum { SILU = 0, GELU = 1, GELU_TANH = 2, RELU = 3, RELU_SQUARED = 4 };
enum { NO_NORM = 0, PER_HEAD = 1, EACH_HEAD = 2, WHOLE_VECTOR = 3 };

typedef struct {
    const float *weight; /* null: no norm */
    const float *bias;
} Norm;

typedef struct {
    Matrix queries, keys, values, output, gate, up, down;
    Norm attention_norm, ffn_norm, attention_output_norm, ffn_output_norm, query_norm, key_norm;
    int32_t rotary; /* index into Step.cosines, or -1 */
    int32_t window; /* positions seen, itself included; 0 = all */
    float attention_scale;
    int32_t reserved;
} Layer;

typedef struct {
    int32_t layers, width, heads, kv_heads, head_size, ffn_width, vocabulary, rotary_dimensions;
    int32_t norm_kind, activation, gated, parallel, shared_norm, query_key_norm;
    float norm_eps, attention_soft_cap, logit_soft_cap; /* caps: 0 = none */
    float embedding_scale, residual_scale, logit_scale;
    Matrix embedding, unembedding;
    Norm final_norm;
    const float *positions; /* learned, (context, width), or null */
    const Layer *layer;
} Model;

/* What the blocks compute with on their way, for who wants to look (chatterm/model/taps.py): each (layers, count, numbers
 * of one token) or null. */
typedef struct {
    float *input, *queries, *keys, *values, *heads, *attention_output, *middle, *activations, *ffn_output, *output;
} Record;

typedef struct {
    const int64_t *tokens;
    int32_t count;         /* 1 … VECTORS tokens */
    int32_t shared;        /* positions that all of them see, before their own: the text so far */
    int32_t capacity;      /* positions for which the cache has room */
    int32_t narrow;        /* whether the cache is of 16-bit integers with scales, else of float32 */
    int32_t first_logits;  /* the first token after which logits are wanted */
    int32_t logits_stride; /* floats from one token's logits to the next's */
    const int32_t *positions; /* of each token in its text, at least `shared` */
    const int32_t *slots;     /* where in the cache its keys and values go */
    const int32_t *starts;    /* where there its own positions begin: its text goes on from `shared` to here, up to its slot */
    void *keys, *values;   /* (layers, kv_heads, capacity, head_size) */
    float *key_scales, *value_scales; /* (layers, kv_heads, capacity) of a narrow cache: what its integers are multiples of */
    const float *const *cosines;
    const float *const *sines; /* of these positions, each (count, rotary_dimensions), sines negative in the first half */
    float *logits;             /* (count - first_logits, at least vocabulary rounded up to whole tiles) */
    Record record;
} Step;

/* What a step does one after the other; as PHASES in chatterm/model/native/step.py. */
enum Phase { EMBED, NORM, PROJECT, TURN, ATTEND, OUTPUT, UP, DOWN, ADD, UNEMBED };

typedef struct {
    const Model *model;
    Pool *pool;
    double *seconds; /* of each phase, added up; null unless somebody wants to know */
    double since;
    const Step *step;
    const Layer *layer;
    int index; /* of the layer */
    int rows;  /* tokens under way */
    /* one row per token */
    float *x, *normed, *queries, *keys, *values, *mixed, *hidden, *branch, *attended;
    size_t width, heads_width, ffn_width; /* floats from one row to the next */
    /* what the next matrices read (see tiles.h): `stride` vectors interleaved, in `panel` unless there is only one */
    Panel input;
    float *panel, *sums;
    int32_t *slices; /* null where they are not used */
    int stride, fed; /* `fed` of them are wanted */
    /* of attention, one of each per token, head and chunk */
    float *part, *part_max, *part_sum;
    int first_chunk, chunks;
    /* what the running phase multiplies */
    const Matrix *matrix[MATRICES];
    float *out[MATRICES];
    size_t out_stride[MATRICES];
    int pieces_before[MATRICES + 1], grain[MATRICES];
} Engine;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A phase is over. */
static inline void done(Engine *e, enum Phase phase) {
    if (!e->seconds) return;
    double end = now();
    e->seconds[phase] += end - e->since;
    e->since = end;
}

#endif
