/* A pool of threads that share small pieces of work by taking the next one: a thread that the system holds up takes
 * fewer, so a busy machine slows decoding down but does not bring it to its knees. */
#ifndef CHATTERM_POOL_H
#define CHATTERM_POOL_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST_THREADS 64
#define SPINS 2000 /* some 50 microseconds: longer than the gap between two phases of a step */

typedef void (*Work)(void *context, int piece);

typedef struct {
    int threads;
    pthread_t handles[MOST_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_ullong ticket; /* 24 bits round, 20 bits number of pieces, 20 bits next piece */
    atomic_int sleeping, done, stop;
    Work work;
    void *context;
} Pool;

enum { PIECE_BITS = 20 };
#define PIECE_MASK ((1ull << PIECE_BITS) - 1)
#define ROUND_OF(ticket) ((ticket) >> (2 * PIECE_BITS))

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A ticket names its round's number of pieces, so whoever comes late from an earlier round finds nothing left; and
 * while a piece that was taken is not done, its round's work and context stay. Nobody waits for a thread that has
 * not taken anything. */
static void take_pieces(Pool *pool) {
    for (;;) {
        unsigned long long ticket = atomic_fetch_add(&pool->ticket, 1);
        if ((ticket & PIECE_MASK) >= (ticket >> PIECE_BITS & PIECE_MASK)) return;
        pool->work(pool->context, (int)(ticket & PIECE_MASK));
        atomic_fetch_add_explicit(&pool->done, 1, memory_order_release);
    }
}

static unsigned long long round_now(Pool *pool) {
    return ROUND_OF(atomic_load_explicit(&pool->ticket, memory_order_acquire));
}

static void wait_for_round(Pool *pool, unsigned long long seen) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (round_now(pool) != seen) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleeping, 1);
    while (ROUND_OF(atomic_load(&pool->ticket)) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *run_thread(void *argument) {
    Pool *pool = argument;
    unsigned long long seen = 0;
    for (;;) {
        wait_for_round(pool, seen);
        seen = round_now(pool);
        if (atomic_load(&pool->stop)) return NULL;
        take_pieces(pool);
    }
}

static void begin_round(Pool *pool, int pieces) {
    unsigned long long round = (round_now(pool) + 1) & 0xffffff;
    atomic_store(&pool->done, 0);
    atomic_store(&pool->ticket, round << (2 * PIECE_BITS) | (unsigned long long)pieces << PIECE_BITS);
    if (atomic_load(&pool->sleeping) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Do work(context, 0 … pieces - 1) on all threads, the caller's among them, and wait until all is done. */
static void share(Pool *pool, Work work, void *context, int pieces) {
    if (pool->threads == 1 || pieces == 1) {
        for (int piece = 0; piece < pieces; piece++) work(context, piece);
        return;
    }
    pool->work = work;
    pool->context = context;
    begin_round(pool, pieces);
    take_pieces(pool);
    for (int spin = 0; atomic_load_explicit(&pool->done, memory_order_acquire) < pieces; spin++) {
        relax();
        if (spin > SPINS) sched_yield();
    }
}

static void pool_stop(Pool *pool) {
    atomic_store(&pool->stop, 1);
    begin_round(pool, 0);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* A pool of at most `threads` threads, fewer if the system gives no more. */
static Pool *pool_start(int threads) {
    Pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = 1;
    for (int i = 1; i < threads && i < MOST_THREADS; i++) {
        if (pthread_create(&pool->handles[i], NULL, run_thread, pool)) break;
        pool->threads++;
    }
    return pool;
}

#endif
