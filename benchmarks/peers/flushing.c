/* The switch by which x86 takes subnormal numbers as zero, for the thread that calls. */
#include <xmmintrin.h>

unsigned flush(void) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}

void put_back(unsigned before) { _mm_setcsr(before); }
