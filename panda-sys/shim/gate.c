#include "gate.h"

/* A call that may be ours. `leave` longjmps to PANDA's execution loop over this frame and PANDA's own, which are all C;
 * the Rust behind `slow` has returned by then. Kept apart from the way that every cpuid takes, which needs no frame. */
__attribute__((noinline)) static bool decide(const struct pandacap_gate *gate, CPUState *cpu)
{
    switch (gate->slow(cpu)) {
    case PANDACAP_ANSWERED:
        return true;
    case PANDACAP_LEAVE:
        gate->leave(cpu);
        return true; /* not reached */
    default:
        return false;
    }
}

/* Runs on every cpuid of an x86 guest. */
bool pandacap_gate_call(void *context, CPUState *cpu)
{
    const struct pandacap_gate *gate = context;
    if (gate->magic_offset) {
        const uint32_t *magic = (const uint32_t *)((const char *)cpu + gate->magic_offset);
        if (__builtin_expect(*magic != gate->magic, 1))
            return false;
    }
    return decide(gate, cpu);
}
