// Accesses to memory on record: which two no barrier orders, and which lie outside of all arrays.
//
// Each thread has a vector clock (Mattern 1988): how far it knows every other thread to have come. A barrier
// joins the clocks of those who meet there; an addition with release semantics leaves the clock at its place,
// from where a wait with acquire semantics takes it. An access happened before another one if the latter's
// thread knows of the former's time. As in FastTrack (Flanagan, Freund 2009), a place keeps only the accesses
// that a later one may still be unordered with.
#include "threads.h"
#include <stdlib.h>
#include <string.h>

enum { READ, WRITE, ATOMIC };
enum { STACK_BYTES = 512 << 10, MOST_RACES = 256, MOST_RANGES = 256, GRANULE = 4, N_RELEASED = 16 };

int is_recording;

typedef struct {
    int number, block, time, site, kind;
} Access;

typedef struct {
    uintptr_t place;
    int n, room;
    Access *accesses;
} Place;

typedef struct {
    int64_t site, kind, block, thread;
} Party;

static struct { Party first, second; } races[MOST_RACES];
static int n_races;
static Party outside;
static int has_outside;
static struct { uintptr_t begin, end; } ranges[MOST_RANGES], shared_ranges[MOST_RANGES], constants;
static int n_ranges, n_shared;
static const char *left_out;
static char *reached;
static int n_sites, ends_at_first;

// --- clocks ------------------------------------------------------------------------------------------------

static int *clocks, *joined, n_clocks; // of n_clocks threads, n_clocks times each
static struct { const int *place; int *clock; } released[N_RELEASED];
static int n_released;

static int *clock_of(int number) { return clocks + (size_t)number * n_clocks; }

void begin_clocks(int n_threads) {
    if (!is_recording) return;
    n_clocks = n_threads;
    free(clocks), free(joined);
    clocks = calloc((size_t)n_threads * n_threads, sizeof(int));
    joined = calloc(n_threads, sizeof(int));
    for (int i = 0; i < n_threads; i++) clock_of(i)[i] = 1;
    for (int i = 0; i < n_released; i++) free(released[i].clock);
    n_released = 0;
}

static void join(int *into, const int *other) {
    for (int i = 0; i < n_clocks; i++)
        if (other[i] > into[i]) into[i] = other[i];
}

void join_clocks(const Thread *threads, int from, int to, enum State state) {
    if (!is_recording) return;
    memset(joined, 0, sizeof(int) * n_clocks);
    for (int i = from; i < to; i++)
        if (threads[i].state == state) join(joined, clock_of(i));
    for (int i = from; i < to; i++)
        if (threads[i].state == state) {
            memcpy(clock_of(i), joined, sizeof(int) * n_clocks);
            clock_of(i)[i]++;
        }
}

static int *released_at(const int *place) {
    for (int i = 0; i < n_released; i++)
        if (released[i].place == place) return released[i].clock;
    if (n_released == N_RELEASED) fail("the recorder knows no more places that are waited at");
    released[n_released].place = place;
    return released[n_released++].clock = calloc(n_clocks, sizeof(int));
}

void release_clock(const int *place) {
    if (!is_recording) return;
    join(released_at(place), clock_of(me->number));
    clock_of(me->number)[me->number]++;
}

void acquire_clock(const Thread *thread, const int *place) {
    if (is_recording) join(clock_of(thread->number), released_at(place));
}

// --- accesses ----------------------------------------------------------------------------------------------

static Place *places;
static size_t n_places, n_used;

static Place *place_of(uintptr_t at) {
    if (2 * n_used >= n_places) {
        Place *old = places;
        size_t n = n_places;
        n_places = n ? 2 * n : 1 << 14, n_used = 0;
        places = calloc(n_places, sizeof(Place));
        for (size_t i = 0; i < n; i++)
            if (old[i].place) *place_of(old[i].place) = old[i];
        free(old);
    }
    size_t i = (at * 0x9E3779B97F4A7C15ull) >> 20 & (n_places - 1);
    while (places[i].place && places[i].place != at) i = (i + 1) & (n_places - 1);
    if (!places[i].place) places[i].place = at, n_used++;
    return &places[i];
}

static Party party(const Access *access) {
    Party found = {access->site, access->kind, access->block, access->number % threads_of_block};
    return found;
}

static void keep_race(const Access *first, const Access *second) {
    for (int i = 0; i < n_races; i++)
        if (races[i].first.site == first->site && races[i].second.site == second->site) return;
    if (n_races < MOST_RACES) races[n_races].first = party(first), races[n_races++].second = party(second);
    if (ends_at_first) fail("a race");
}

static int is_of_earlier_block(const Access *access) { // one that had ended when this one began, by chance
    int same_place = access->number / threads_of_block == me->number / threads_of_block;
    return same_place && access->block != me->block->index;
}

static int is_before(const Access *access) { // an access, what the thread does now
    return !is_of_earlier_block(access) && access->time <= clock_of(me->number)[access->number];
}

static int conflict(int kind, int other) {
    return kind == WRITE || other == WRITE || kind != other;
}

static void note(uintptr_t place, int kind, int site) {
    Place *here = place_of(place);
    Access now = {me->number, me->block->index, clock_of(me->number)[me->number], site, kind};
    int kept = 0, n_earlier_reads = 0;
    for (int i = 0; i < here->n; i++) {
        Access access = here->accesses[i];
        int before = is_before(&access);
        if (!before && conflict(kind, access.kind)) keep_race(&access, &now);
        // whoever is unordered with that access is so with this one, too
        if (before && (kind != READ || access.kind == READ)) continue;
        // of reads by earlier blocks one is enough for all
        if (access.kind == READ && is_of_earlier_block(&access) && n_earlier_reads++) continue;
        here->accesses[kept++] = access;
    }
    here->n = kept;
    if (here->n == here->room) {
        here->room = here->room ? 2 * here->room : 4;
        here->accesses = realloc(here->accesses, sizeof(Access) * here->room);
    }
    here->accesses[here->n++] = now;
}

static int is_inside(uintptr_t from, uintptr_t to) {
    static int last;
    if (last < n_ranges && from >= ranges[last].begin && to <= ranges[last].end) return 1;
    for (int i = 0; i < n_ranges; i++)
        if (from >= ranges[i].begin && to <= ranges[i].end) return last = i, 1;
    return 0;
}

static int is_inside_shared(uintptr_t from, uintptr_t to) {
    for (int i = 0; i < n_shared; i++)
        if (from >= shared_ranges[i].begin && to <= shared_ranges[i].end) return 1;
    return from >= (uintptr_t)static_bytes && to <= (uintptr_t)static_bytes + dynamic_bytes;
}

void record_access(char *at, int64_t bytes, int kind, int site) {
    if (at >= me->stack && at < me->stack + STACK_BYTES) return; // the thread's own
    uintptr_t from = (uintptr_t)at, shared = (uintptr_t)me->block->shared;
    if (from >= constants.begin && from + bytes <= constants.end) return;
    // shared memory of an earlier block may have lain at the same address
    int in_shared = from >= shared && from < shared + static_bytes + dynamic_bytes;
    uintptr_t tag = in_shared ? 1ull << 63 | (uint64_t)me->block->index << 32 : 0;
    uintptr_t place = in_shared ? from - shared : from;
    if (!(in_shared ? is_inside_shared(place, place + bytes) : is_inside(from, from + bytes))) {
        outside = (Party){site, kind, me->block->index, me->thread};
        has_outside = 1;
        fail("outside");
    }
    for (uintptr_t p = place / GRANULE; p * GRANULE < place + bytes; p++) note(tag | (p + 1), kind, site);
}

void record_atomic(const int *place) {
    if (is_recording) record_access((char *)place, sizeof *place, ATOMIC, me->site);
}

void note_barrier(int site) { reached[site] = 1; }

int is_left_out(int site) { return site >= 0 && site < n_sites && left_out[site]; }

// --- what Python calls -------------------------------------------------------------------------------------

// Of n sites: which barriers are left out, and 1 for each that is reached. With `at_first` a launch ends at the
// first race: where barriers are left out, more and more would come.
void begin_record(const char *sites_left_out, char *sites_reached, int n, int at_first) {
    left_out = sites_left_out, reached = sites_reached, n_sites = n, ends_at_first = at_first;
    is_recording = n > 0;
    n_races = n_ranges = n_shared = has_outside = 0;
    for (size_t i = 0; i < n_places; i++) free(places[i].accesses);
    free(places);
    places = 0, n_places = n_used = 0;
}

// The arguments, which every thread reads and none writes.
void set_constants(uintptr_t begin, int64_t bytes) { constants.begin = begin, constants.end = begin + bytes; }

int add_range(uintptr_t begin, int64_t bytes, int is_shared) {
    int *n = is_shared ? &n_shared : &n_ranges;
    if (*n == MOST_RANGES) return 0;
    (is_shared ? shared_ranges : ranges)[*n].begin = begin;
    (is_shared ? shared_ranges : ranges)[(*n)++].end = begin + bytes;
    return 1;
}

int race(int i, Party *parties) {
    if (i >= n_races) return 0;
    parties[0] = races[i].first, parties[1] = races[i].second;
    return 1;
}

int access_outside(Party *found) {
    if (has_outside) *found = outside;
    return has_outside;
}
