/* Working memory: one piece for each thread, as large as was ever asked for. */
#ifndef CHATTERM_SCRATCH_H
#define CHATTERM_SCRATCH_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t bytes;
    void *memory;
} Kept;

static pthread_key_t kept_key;
static pthread_once_t kept_once = PTHREAD_ONCE_INIT;

static void give_back(void *kept) {
    free(((Kept *)kept)->memory);
    free(kept);
}

static void make_kept_key(void) { pthread_key_create(&kept_key, give_back); }

static void *scratch(size_t bytes) {
    pthread_once(&kept_once, make_kept_key);
    Kept *kept = pthread_getspecific(kept_key);
    if (!kept) {
        kept = calloc(1, sizeof *kept);
        pthread_setspecific(kept_key, kept);
    }
    if (kept->bytes < bytes) {
        free(kept->memory);
        kept->bytes = (bytes + 4095) / 4096 * 4096;
        kept->memory = aligned_alloc(4096, kept->bytes);
        memset(kept->memory, 0, kept->bytes);
    }
    return kept->memory;
}

#endif
