/*
 * hv/orphan.h - devices whose back end process has gone: kept as they are for the next one, for a while.
 *
 *      served  --connection ends-->  kept  --a back end binds its event channel-->  served
 *                                      |
 *                                      core->keep_ms later: Closed, and the front end learns of it
 *
 * Nothing else is needed for a take-over: rings and grants are the guest's, the dead process's pins are undone with its slot, and
 * a guest's port that lost its other end is unbound again, for Domain-0 alone.
 *
 * Trusts   what a front end wrote about its event channels: it decides about its own devices only.
 * Runs in  the core's thread.
 */
#ifndef SLUICE_HV_ORPHAN_H
#define SLUICE_HV_ORPHAN_H

struct conn;
struct core;
struct orphans; /* of one connection */

/*
 * A Domain-0 connection that has served devices ends, by a kill or cleanly. Those that are Connected are kept; others that it
 * still holds are closed, and all are where core->keep_ms is 0. Call it before its ports are closed.
 */
void orphan_backend_gone(struct conn *conn);
/* The core ends. */
void orphan_finish(struct core *core);

#endif
