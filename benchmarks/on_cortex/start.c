/* What a program needs on the Cortex-M boards that QEMU has: vectors, a clock, and the host's console. */
#include <stdint.h>

extern uint32_t stack_top, data_from, data_start, data_end, bss_start, bss_end;
int main(void);

static int32_t ask_host(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void print(const char *text)
{
    ask_host(0x04, text);
}

void print_number(uint32_t number)
{
    char text[12], *digit = text + sizeof text - 1;
    *digit = 0;
    *--digit = ' ';
    do {
        *--digit = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print(digit);
}

/* The processor's own timer counts 24 bits down. */
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010;

void start_clock(void)
{
    systick[1] = 0xFFFFFF;
    systick[2] = 0;
    systick[0] = 5;
}

uint32_t ticks(void)
{
    return 0xFFFFFF - systick[2];
}

void reset(void)
{
    uint32_t *from = &data_from;
    for (uint32_t *to = &data_start; to < &data_end;)
        *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;)
        *to++ = 0;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit */
    __asm__ volatile("dsb\n isb");
#endif
    main();
    ask_host(0x18, (const void *)0x20026); /* the program has ended */
    for (;;) {
    }
}

static void stop(void)
{
    print("fault");
    ask_host(0x18, (const void *)0x20023);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    &stack_top, (const void *)reset, (const void *)stop, (const void *)stop,
};
