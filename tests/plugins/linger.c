/* A plugin that lingers where PANDA's processor has looked for threads that wait for the big lock and can't be kicked
 * yet: a kick that is lost once in minutes otherwise is lost at once. */
#define _POSIX_C_SOURCE 199309L
#include "panda_abi.h"

#include <time.h>

bool init_plugin(void *self);
void uninit_plugin(void *self);

static void linger(void *context, CPUState *cpu)
{
    const struct timespec time = { 0, 2000000 };
    (void)context;
    (void)cpu;
    nanosleep(&time, NULL);
}

bool init_plugin(void *self)
{
    for (panda_cb_type type = 42; type >= 40; type--) {
        panda_cb_with_context trampoline = panda_get_cb_trampoline(type), callback = { .top_loop = linger };
        if ((void *)trampoline.cbaddr == (void *)panda_cb_trampoline_top_loop) {
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
