/* A plugin that answers a magic of its own, 0x777, with 0x888, as PANDA's plugins do: it leaves every other call. */
#include "panda_abi.h"

#include <stdio.h>

bool init_plugin(void *self);
void uninit_plugin(void *self);

static bool hypercall(void *context, CPUState *cpu)
{
    uint64_t value[2] = { 0 };
    (void)context;
    x86_cpu_gdb_read_register(cpu, (uint8_t *)value, 0);
    if ((uint32_t)value[0] != 0x777)
        return false;
    value[0] = 0x888;
    gdb_write_register(cpu, (uint8_t *)value, 0);
    return true;
}

bool init_plugin(void *self)
{
    for (panda_cb_type type = 20; type <= 23; type++) {
        panda_cb_with_context trampoline = panda_get_cb_trampoline(type), callback = { .guest_hypercall = hypercall };
        if ((void *)trampoline.cbaddr == (void *)panda_cb_trampoline_guest_hypercall) {
            panda_register_callback_with_context(self, type, callback, NULL);
            return true;
        }
    }
    return false;
}

void uninit_plugin(void *self)
{
    (void)self;
}
