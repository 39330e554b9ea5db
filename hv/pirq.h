/*
 * hv/pirq.h - physical interrupts: a device's fd that is readable. Level-triggered, masked from each event until its eoi.
 *
 * Owns     the device's fd, from map to unmap.
 * Runs in  the core's thread.
 * Fails    -EINVAL: not that connection's pirq.
 */
#ifndef SLUICE_HV_PIRQ_H
#define SLUICE_HV_PIRQ_H

#include <stdbool.h>

struct conn;
struct core;

/*
 * Takes *fd over (then it is -1). *pirq: a wish, or below 0 for any; the number given. ends_with_port: unbinding unmaps.
 * -EEXIST; -EPERM: that kind of fd cannot be polled.
 */
int pirq_map(struct core *core, struct conn *owner, int *fd, bool ends_with_port, int *pirq);
int pirq_unmap(struct core *core, struct conn *owner, int pirq);
void pirq_unmap_owned(struct core *core, struct conn *owner);
/* From now on its events go to that port of Domain-0. -EEXIST: it has one. */
int pirq_bind(struct core *core, struct conn *owner, int pirq, unsigned port);
void pirq_unbind(struct core *core, int pirq);
/* It may interrupt again. */
int pirq_eoi(struct core *core, struct conn *owner, int pirq);

#endif
