// What a sanitizer of devices looks for, in kernels that are built for the host.
//
// The compiler announces each access to memory, as for the race detector that comes with
// it (which is not linked); these are the functions that it calls. Two threads must not
// touch one byte, of which one writes, unless a barrier between them orders that, and
// what is touched must be memory of the device.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Accesses since the last barrier of a block: which one, or MANY of them.
enum { NONE = -1, MANY = -2 };
struct Seen { int block, epoch, warp, warp_epoch, thread; };
struct Byte { uintptr_t address; unsigned launch; Seen read, write; };

static const size_t N_BYTES = 1 << 22;
static Byte *bytes = (Byte *)calloc(N_BYTES, sizeof(Byte));
static const uintptr_t *ranges;  // (first, end) of memory, ascending
static size_t n_ranges;

extern char __bss_start __attribute__((visibility("hidden")));
extern char _end __attribute__((visibility("hidden")));

QUIET static bool is_within(uintptr_t a, const void *first, const void *end) {
    return a >= (uintptr_t)first && a < (uintptr_t)end;
}

QUIET static Byte *of(uintptr_t address) {
    size_t at = (address * 0x9E3779B97F4A7C15ull >> 40) & (N_BYTES - 1);
    for (size_t tries = 0; tries < N_BYTES; tries++, at = (at + 1) & (N_BYTES - 1)) {
        Byte *b = bytes + at;
        if (b->launch != launch_number) {
            *b = {address, launch_number, {NONE}, {NONE}};
            return b;
        }
        if (b->address == address) return b;
    }
    abort();
}

QUIET static bool is_ordered(const Seen &s, const Seen &now) {
    if (s.block == NONE || s.thread == now.thread) return true;
    if (s.block != now.block) return false;
    if (s.epoch < now.epoch) return true;
    return s.warp == now.warp && s.warp_epoch < now.warp_epoch;
}

QUIET static void note(Seen &s, const Seen &now) {
    if (is_ordered(s, now)) {  // what comes after this one comes after those before
        s = now;
        return;
    }
    if (s.block != now.block) s.block = MANY;
    if (s.thread != now.thread) s.thread = MANY;
    if (s.warp != now.warp) s.warp = MANY;
    if (s.warp_epoch < now.warp_epoch) s.warp_epoch = now.warp_epoch;
}

QUIET static void touched(uintptr_t address, size_t size, bool writes) {
    if (!runs || is_within(address, stacks, stacks + MOST)) return;
    const bool shared = is_within(address, &__bss_start, &_end);
    if (!shared) {
        size_t low = 0, high = n_ranges;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (ranges[2 * middle + 1] <= address) low = middle + 1;
            else high = middle;
        }
        const bool known = low < n_ranges && ranges[2 * low] <= address
                           && address + size <= ranges[2 * low + 1];
        if (!known) return report(writes ? "writes outside" : "reads outside");
    }
    const unsigned t = threadIdx.x;
    const int block = blockIdx.y * gridDim.x + blockIdx.x, warp = t / 32;
    const Seen now = {block, epoch, warp, warp_epochs[warp], block * 256 + (int)t};
    for (size_t i = 0; i < size; i++) {
        Byte *b = of(address + i);
        if (shared && b->write.block != block) b->write.block = NONE;
        if (shared && b->read.block != block) b->read.block = NONE;
        if (!is_ordered(b->write, now)) {
            return report(writes ? "writes what another wrote" : "reads what another wrote");
        }
        if (writes && !is_ordered(b->read, now)) return report("writes what another read");
        if (writes) b->write = now;
        else note(b->read, now);
    }
}

extern "C" {
QUIET void know(const uintptr_t *r, size_t n) { ranges = r; n_ranges = n; }
}

// Under names of their own: compilers have declared these in different ways.
#define CALLED(name, ...) \
    extern "C" void called_##name(__VA_ARGS__) __asm__("__tsan_" #name); \
    QUIET void called_##name(__VA_ARGS__)
#define ACCESS(name, n, writes) \
    CALLED(name##n, void *a) { touched((uintptr_t)a, n, writes); }
#define ACCESSES(name, writes) \
    ACCESS(name, 1, writes) ACCESS(name, 2, writes) ACCESS(name, 4, writes) \
    ACCESS(name, 8, writes) ACCESS(name, 16, writes) \
    CALLED(name##_range, void *a, long n) { touched((uintptr_t)a, n, writes); }

CALLED(init) {}
CALLED(func_entry, void *) {}
CALLED(func_exit) {}
ACCESSES(read, false)
ACCESSES(write, true)
ACCESSES(unaligned_read, false)
ACCESSES(unaligned_write, true)
