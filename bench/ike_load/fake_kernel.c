// SPDX-License-Identifier: Apache-2.0
// A kernel for charon that takes every SA and policy and does nothing with them, so that what is
// measured is IKE. Preloaded, it stands where a plugin such as kernel-netlink registers its own.
//
// The order of the functions is the binary interface of strongSwan 5.9's kernel_ipsec_t.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { SUCCESS = 0, FAILED = 1 };

struct kernel {
    void *get_features, *get_spi, *get_cpi, *add_sa, *update_sa, *query_sa, *del_sa, *flush_sas;
    void *add_policy, *query_policy, *del_policy, *flush_policies;
    void *bypass_socket, *enable_udp_decap, *destroy;
};

static int none(void) { return 0; }
static int taken(void) { return SUCCESS; }
static int unknown(void) { return FAILED; }
static bool yes(void) { return true; }

static int get_spi(void *kernel, void *from, void *to, uint8_t protocol, uint32_t *spi) {
    static uint32_t last = 0x1000;
    (void)kernel, (void)from, (void)to, (void)protocol;
    *spi = __builtin_bswap32(__sync_add_and_fetch(&last, 1));
    return SUCCESS;
}

static struct kernel the_kernel = {
    .get_features = none, .get_spi = get_spi, .get_cpi = unknown, .add_sa = taken,
    .update_sa = taken, .query_sa = unknown, .del_sa = taken, .flush_sas = taken,
    .add_policy = taken, .query_policy = unknown, .del_policy = taken, .flush_policies = taken,
    .bypass_socket = yes, .enable_udp_decap = yes, .destroy = none,
};

static struct kernel *the_kernel_instead(void) { return &the_kernel; }

bool kernel_ipsec_register(void *plugin, void *feature, bool is_new, void *constructor) {
    bool (*real)(void *, void *, bool, void *) = dlsym(RTLD_NEXT, "kernel_ipsec_register");
    (void)constructor;
    return real(plugin, feature, is_new, the_kernel_instead);
}
