// Threads, blocks and barriers of a launch. Blocks run one after the other, or all at once if the launch is
// cooperative. A thread runs until it comes to a barrier; then the scheduler goes on with another one.
#include "threads.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define STACK (512 << 10)

Thread *me;
int threads_of_block, static_bytes, dynamic_bytes;
static int n_blocks_of_grid;
static void *scheduler;
static Thread *threads;
static int n_threads;
static void (*kernel)(void *);
static void *kernel_arguments;
static char failure[512];

// The stack pointer is saved to *from, and the stack is changed, with the registers that a function keeps.
void change_stack(void **from, void *to);
#ifdef __x86_64__
__asm__(".text\n.globl change_stack\n.hidden change_stack\nchange_stack:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
#define SAVED 6
#else
#error "change_stack is written for x86-64 alone"
#endif

static void wait_as(enum State state) {
    me->state = state;
    change_stack(&me->stack_pointer, scheduler);
}

void fail(const char *reason) {
    if (!failure[0]) snprintf(failure, sizeof failure, "%s", reason);
    wait_as(DONE);
    abort();
}

static void run_thread(void) {
    kernel(kernel_arguments);
    wait_as(DONE);
    abort();
}

// --- what kernels call: names of NVVM's intrinsics with underscores, and of what stands for assembler ---------

int nvvm_read_ptx_sreg_tid_x(void) { return me->thread; }
int nvvm_read_ptx_sreg_ctaid_x(void) { return me->block->index; }
int nvvm_read_ptx_sreg_ntid_x(void) { return threads_of_block; }
int nvvm_read_ptx_sreg_nctaid_x(void) { return n_blocks_of_grid; }
int nvvm_read_ptx_sreg_tid_y(void) { return 0; }
int nvvm_read_ptx_sreg_tid_z(void) { return 0; }
int nvvm_read_ptx_sreg_ctaid_y(void) { return 0; }
int nvvm_read_ptx_sreg_ctaid_z(void) { return 0; }
int nvvm_read_ptx_sreg_ntid_y(void) { return 1; }
int nvvm_read_ptx_sreg_ntid_z(void) { return 1; }
int nvvm_read_ptx_sreg_nctaid_y(void) { return 1; }
int nvvm_read_ptx_sreg_nctaid_z(void) { return 1; }
int nvvm_read_ptx_sreg_laneid(void) { return me->thread % WARP; }
int nvvm_read_ptx_sreg_warpsize(void) { return WARP; }

int dynamic_shared_bytes(void) { return dynamic_bytes; }
char *shared_memory(int64_t at) { return me->block->shared + at; }

void at_barrier(int site) {
    me->site = site;
    note_barrier(site);
}

void nvvm_barrier0(void) {
    if (!is_left_out(me->site)) wait_as(AT_BLOCK);
}

void barrier_of_warp(void) {
    if (!is_left_out(me->site)) wait_as(AT_WARP);
}

void nvvm_bar_warp_sync(int mask) {
    if (mask != -1) fail("a barrier of a part of a warp");
    barrier_of_warp();
}

void arrive_at_count(int *count) {
    if (is_left_out(me->site)) return;
    record_atomic(count);
    release_clock(count);
    ++*count;
}

void wait_for_count(int *count, int goal) {
    if (is_left_out(me->site)) return;
    me->count = count, me->goal = goal;
    wait_as(AT_COUNT);
    acquire_clock(me, count);
}

// PTX ISA, "shfl.sync": b and c are the instruction's operands of these names. Shuffles order no accesses.
int shuffle(int mask, int mode, int value, int b, int c) {
    if (mask != -1) fail("a shuffle of a part of a warp");
    int lane = me->thread % WARP, segment = c >> 8 & 31, clamp = c & 31;
    int least = lane & segment, most = least | (clamp & ~segment), from, is_inside;
    b &= 31;
    switch (mode) {
    case 0: from = least | (b & ~segment), is_inside = from <= most; break;
    case 1: from = lane - b, is_inside = from >= most; break;
    case 2: from = lane + b, is_inside = from <= most; break;
    default: from = lane ^ b, is_inside = from <= most;
    }
    uint32_t *shuffled = me->warp->shuffled[me->n_shuffles++ & 1];
    shuffled[lane] = (uint32_t)value;
    wait_as(AT_SHUFFLE);
    return (int)shuffled[is_inside ? from : lane];
}

// --- the scheduler -----------------------------------------------------------------------------------------

static uint64_t random_state;

static int draw(int n) { // from 0 to n - 1; Knuth's generator of 64 bits
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (int)((random_state >> 33) % (unsigned)n);
}

static void arrange(int *turns, int n, int order) {
    if (order < 2) return;
    for (int i = n - 1; i > 0; i--) {
        int k = draw(i + 1), kept = turns[i];
        turns[i] = turns[k], turns[k] = kept;
    }
}

// Lets those go on that wait for each other in this way, if all that live do.
static void open_barrier(int from, int to, int live, enum State state) {
    int waiting = 0;
    for (int i = from; i < to; i++) waiting += threads[i].state == state;
    if (!live || waiting < live) return;
    if (state != AT_SHUFFLE) join_clocks(threads, from, to, state);
    for (int i = from; i < to; i++)
        if (threads[i].state == state) threads[i].state = READY;
}

static void open_barriers_of(const Thread *thread) {
    int block = thread->number - thread->thread;
    int warp = block + thread->thread / WARP * WARP;
    int end = block + threads_of_block, end_of_warp = warp + WARP < end ? warp + WARP : end;
    if (thread->state == AT_WARP || thread->state == DONE)
        open_barrier(warp, end_of_warp, thread->warp->live, AT_WARP);
    if (thread->state == AT_SHUFFLE || thread->state == DONE)
        open_barrier(warp, end_of_warp, thread->warp->live, AT_SHUFFLE);
    if (thread->state == AT_BLOCK || thread->state == DONE)
        open_barrier(block, end, thread->block->live, AT_BLOCK);
}

static int can_run(const Thread *thread) {
    return thread->state == READY ||
           (thread->state == AT_COUNT && (int)((unsigned)*thread->count - (unsigned)thread->goal) >= 0);
}

static void tell_that_all_wait(void) {
    int n[N_STATES] = {0};
    for (int i = 0; i < n_threads; i++) n[threads[i].state]++;
    snprintf(failure, sizeof failure,
             "all wait for each other: of %d threads, %d at a shuffle, %d at a barrier of the warp, %d of the "
             "block, %d of the grid; %d have ended",
             n_threads, n[AT_SHUFFLE], n[AT_WARP], n[AT_BLOCK], n[AT_COUNT], n[DONE]);
}

static void run_to_the_end(int order) {
    int left = n_threads, *turns = malloc(sizeof(int) * n_threads);
    for (int i = 0; i < n_threads; i++) turns[i] = order == 1 ? n_threads - 1 - i : i;
    while (left && !failure[0]) {
        int has_run = 0;
        arrange(turns, n_threads, order);
        for (int i = 0; i < n_threads && !failure[0]; i++) {
            Thread *thread = &threads[turns[i]];
            if (!can_run(thread)) continue;
            me = thread, has_run = 1;
            thread->state = READY;
            change_stack(&scheduler, thread->stack_pointer);
            if (thread->state == DONE) thread->warp->live--, thread->block->live--, left--;
            open_barriers_of(thread);
        }
        if (!has_run) tell_that_all_wait();
    }
    free(turns);
}

// Stacks are kept for the next launches, with a page below each that nothing may touch.
static char *stack_of(int i) {
    static char **stacks;
    static int n_stacks;
    if (i >= n_stacks) {
        stacks = realloc(stacks, sizeof(char *) * (i + 1));
        for (; n_stacks <= i; n_stacks++) {
            char *stack = mmap(0, PAGE + STACK, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE)) abort();
            stacks[n_stacks] = stack + PAGE;
        }
    }
    return stacks[i];
}

static void begin_thread(Thread *thread, int number, Block *block) {
    thread->number = number;
    thread->thread = number % threads_of_block;
    thread->block = block;
    thread->warp = &block->warps[thread->thread / WARP];
    thread->warp->live++;
    thread->site = -1;
    thread->stack = stack_of(number);
    void **top = (void **)(thread->stack + STACK) - 2; // aligned as at a function's begin
    top[0] = (void *)run_thread, top[1] = 0;
    thread->stack_pointer = top - SAVED;
}

static void run_blocks(int first, int n_blocks, int order) {
    int n_warps = (threads_of_block + WARP - 1) / WARP;
    size_t shared = static_bytes + dynamic_bytes;
    Block *blocks = calloc(n_blocks, sizeof(Block));
    n_threads = n_blocks * threads_of_block;
    threads = calloc(n_threads, sizeof(Thread));
    for (int b = 0; b < n_blocks; b++) {
        blocks[b].index = first + b, blocks[b].live = threads_of_block;
        blocks[b].warps = calloc(n_warps, sizeof(Warp));
        blocks[b].shared = aligned_alloc(64, (shared + 127) / 64 * 64);
        memset(blocks[b].shared, 0xff, shared); // NaN, and indices far outside
        for (int t = 0; t < threads_of_block; t++)
            begin_thread(&threads[b * threads_of_block + t], b * threads_of_block + t, &blocks[b]);
    }
    begin_clocks(n_threads);
    run_to_the_end(order);
    for (int b = 0; b < n_blocks; b++) free(blocks[b].warps), free(blocks[b].shared);
    free(blocks), free(threads);
}

typedef struct {
    int grid, block, static_shared, dynamic_shared, is_cooperative;
    int order; // 0 forwards, 1 backwards, 2 at random
    int64_t seed;
} Launch;

// Empty if all threads have come to their end, else why not.
const char *launch(void (*entry)(void *), void *arguments, const Launch *how) {
    kernel = entry, kernel_arguments = arguments;
    n_blocks_of_grid = how->grid, threads_of_block = how->block;
    static_bytes = how->static_shared, dynamic_bytes = how->dynamic_shared;
    random_state = how->seed, failure[0] = 0;
    if (how->is_cooperative) run_blocks(0, how->grid, how->order);
    else
        for (int b = 0; b < how->grid && !failure[0]; b++) {
            int backwards = how->order == 1;
            run_blocks(backwards ? how->grid - 1 - b : b, 1, how->order);
        }
    return failure;
}
