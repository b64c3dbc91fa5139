/* recctrl for other plugins of PANDA: follow recordings, start and stop them, ask how things stand.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * (this header; the plugin behind it, as PANDA itself, is under the GPL, version 2)
 *
 * In init_plugin, once:
 *
 *     panda_require("recctrl");
 *     if (!init_recctrl_api())
 *         return false;
 *     RECCTRL_FOLLOW(on_recording_ended, my_function);
 *
 * PANDA's own PPP_REG_CB("recctrl", on_recording_ended, my_function) does the same.
 *
 * Functions that follow something are called on a thread of PANDA's, with QEMU's big lock held and no lock of
 * recctrl's, so that they may call everything here. They look at the guest, and leave it as it is: what they write
 * into it is not in the recording. They must neither longjmp nor throw. */
#pragma once
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A recording has begun; `name` is that of its files, with -rr-snp and -rr-nondet.log behind it. After a guest's
 * hypercall the guest is still held on it. */
typedef void (*on_recording_began_t)(const char *name);
typedef void (*on_recording_began_with_context_t)(void *context, const char *name);

/* A recording is complete on disk; `why` is the word of the events file. */
typedef void (*on_recording_ended_t)(const char *name, const char *why, uint64_t instructions);
typedef void (*on_recording_ended_with_context_t)(void *context, const char *name, const char *why,
                                                  uint64_t instructions);

/* The guest left a note of 1 to 1024 bytes; they need not be text, and there is no NUL behind them. */
typedef void (*on_guest_message_t)(const char *text, size_t len);
typedef void (*on_guest_message_with_context_t)(void *context, const char *text, size_t len);

enum {
    RECCTRL_ASKED = 0,    /* PANDA's main loop will do it at its next turn */
    RECCTRL_ALREADY = 1,  /* it is so already */
    RECCTRL_BUSY = -1,    /* a recording is just being begun or ended: ask again later */
    RECCTRL_REFUSED = -2, /* it can't be done; the reason is on standard error and in the events file */
};

struct recctrl_state {
    bool recording;    /* one is on, or just being begun or ended */
    bool session_mode; /* sessions are counted */
    bool dry;          /* nothing is recorded really */
    uint32_t sessions;
    uint32_t recordings; /* complete ones */
};

/* Called with QEMU's big lock held, from any callback. No guest is held for these: a recording begins or ends
 * some instructions later, where the main loop has its next turn. on_recording_began says when it has. They call no
 * function that follows something, so a plugin may hold locks of its own. */
typedef int (*recctrl_start_t)(const char *name);
typedef int (*recctrl_stop_t)(void);
typedef bool (*recctrl_status_t)(struct recctrl_state *state);

/* PANDA's. */
void *panda_get_plugin_by_name(const char *name);

static recctrl_start_t recctrl_start;
static recctrl_stop_t recctrl_stop;
static recctrl_status_t recctrl_status;

/* Finds recctrl; false when it is not loaded, or is another plugin of that name. */
static inline bool init_recctrl_api(void)
{
    void *recctrl = panda_get_plugin_by_name("recctrl");
    if (!recctrl)
        return false;
    recctrl_start = (recctrl_start_t)dlsym(recctrl, "recctrl_start");
    recctrl_stop = (recctrl_stop_t)dlsym(recctrl, "recctrl_stop");
    recctrl_status = (recctrl_status_t)dlsym(recctrl, "recctrl_status");
    return recctrl_start && recctrl_stop && recctrl_status;
}

/* Has `function` called for every `event`, after init_recctrl_api. */
#define RECCTRL_FOLLOW(event, function) \
    ((void (*)(event##_t))dlsym(panda_get_plugin_by_name("recctrl"), "ppp_add_cb_" #event))(function)
/* No longer does; false when it did not. */
#define RECCTRL_LEAVE(event, function) \
    ((bool (*)(event##_t))dlsym(panda_get_plugin_by_name("recctrl"), "ppp_remove_cb_" #event))(function)

#ifdef __cplusplus
}
#endif
