/*
 * netback/place.h - which worker polls what: pinned by name or by the store, else wherever there is least to do.
 *
 *      --pin vif3.0=2,3, --pin net_tap0=2      by the vif's or port's name
 *      backend/vif/<domid>/<devid>/lcores      the same for one vif, read when it connects; before an option
 *
 * Runs in  the control thread.
 */
#ifndef SLUICE_NETBACK_PLACE_H
#define SLUICE_NETBACK_PLACE_H

#include "netback/netback_priv.h"

/* All options name processors that have a worker. -EINVAL, and a sentence in why. */
int place_check(const struct netback *nb, char *why);
/* The lanes that the name is pinned to by option, or 0: none. */
unsigned place_pins(const struct netback *nb, const char *name, uint16_t lanes[LCORES_MAX]);
/* A lane for each queue of a vif; key is what its node says, or NULL. */
void place_vif(const struct netback *nb, const char *name, const char *key, uint16_t lanes[], unsigned nr);

#endif
