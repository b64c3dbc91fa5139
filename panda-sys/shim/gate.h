/* The gate that every guest hypercall passes: what must be C because it longjmps, and what must be fast. */
#pragma once
#include "panda_abi.h"

enum {
    PANDACAP_NOT_OURS = 0,  /* let the guest's instruction do what it does on a processor */
    PANDACAP_ANSWERED = 1,  /* the answer is in the registers; go on behind the instruction */
    PANDACAP_LEAVE = 2,     /* the registers, the program counter among them, are set; leave the translation block */
};

struct pandacap_gate {
    /* Where the low 32 bits of the first hypercall register lie, in bytes from the CPUState; 0: unknown. */
    uint64_t magic_offset;
    uint32_t magic;
    /* What to do with a call that may be ours; returns one of the values above. */
    int (*slow)(CPUState *cpu);
    /* PANDA's; never called before it is set. */
    void (*leave)(CPUState *cpu);
};

/* PANDA's callback for guest hypercalls; `gate` is a struct pandacap_gate. */
bool pandacap_gate_call(void *gate, CPUState *cpu);
