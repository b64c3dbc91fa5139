/* A plugin in C that follows recctrl: prints its events, and makes a recording when a guest's message asks for one.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     cc -shared -fPIC -I plugin/include -o panda_follow.so examples/follow-c/follow.c
 *     panda-system-x86_64 ... -panda recctrl -panda follow
 */
#include <stdio.h>
#include <string.h>

#include "recctrl.h"

/* A function of PANDA's, declared in panda/plugin.h. */
void panda_require(const char *name);
bool init_plugin(void *self);
void uninit_plugin(void *self);

static void began(const char *name)
{
    fprintf(stderr, "follow: %s began\n", name);
}

static void ended(const char *name, const char *why, uint64_t instructions)
{
    struct recctrl_state state;
    if (recctrl_status(&state))
        fprintf(stderr, "follow: %s ended (%s), %llu instructions, recording number %u\n", name, why,
                (unsigned long long)instructions, state.recordings);
}

static void message(const char *text, size_t len)
{
    static const char record[] = "record this: ", enough[] = "enough";
    char name[64] = "";

    fprintf(stderr, "follow: the guest says: %.*s\n", (int)len, text);
    if (len >= sizeof record && !memcmp(text, record, sizeof record - 1)) {
        size_t rest = len - (sizeof record - 1);
        memcpy(name, text + sizeof record - 1, rest < sizeof name ? rest : sizeof name - 1);
        fprintf(stderr, "follow: start: %d\n", recctrl_start(name));
    } else if (len == sizeof enough - 1 && !memcmp(text, enough, len)) {
        fprintf(stderr, "follow: stop: %d\n", recctrl_stop());
    }
}

bool init_plugin(void *self)
{
    (void)self;
    panda_require("recctrl");
    if (!init_recctrl_api())
        return false;
    RECCTRL_FOLLOW(on_recording_began, began);
    RECCTRL_FOLLOW(on_recording_ended, ended);
    RECCTRL_FOLLOW(on_guest_message, message);
    return true;
}

void uninit_plugin(void *self)
{
    (void)self;
    RECCTRL_LEAVE(on_guest_message, message);
}
