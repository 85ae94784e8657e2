// A GPU's threads as fibres of one thread of the processor: what the parts of the runtime know of each other.
#pragma once
#include <stdint.h>

enum { WARP = 32 };
enum State { READY, AT_SHUFFLE, AT_WARP, AT_BLOCK, AT_COUNT, DONE, N_STATES };

typedef struct {
    int live;
    uint32_t shuffled[2][WARP]; // of this shuffle and of the one before, whose last reader may be slow
} Warp;

typedef struct {
    int index, live;
    Warp *warps;
    char *shared;
} Block;

typedef struct {
    void *stack_pointer;
    char *stack;
    int thread; // of the block
    int number; // of all that run at once
    enum State state;
    int n_shuffles;
    int site;          // of the last barrier that `at_barrier` announced
    const int *count;  // what is waited for, AT_COUNT,
    int goal;          // to come so far
    Block *block;
    Warp *warp;
} Thread;

extern Thread *me;
extern int threads_of_block, static_bytes, dynamic_bytes;
void fail(const char *reason); // ends the launch; does not return

// What the scheduler tells the recorder; nothing of it does anything unless accesses are on record.
extern int is_recording;
void begin_clocks(int n_threads);
void join_clocks(const Thread *threads, int from, int to, enum State state);
void release_clock(const int *place);
void acquire_clock(const Thread *thread, const int *place);
void record_atomic(const int *place);
int is_left_out(int site);
void note_barrier(int site);
