/*
 * hv/local_server.h - the socket at which Domain-0 processes and attaching guests connect.
 *
 * Who may: uid 0 and the uid that the core runs as (SO_PEERCRED); the others are turned away with -EACCES.
 */
#ifndef SLUICE_HV_LOCAL_SERVER_H
#define SLUICE_HV_LOCAL_SERVER_H

struct core;
struct local_server;

/* Binds <run_dir>/hypercall, in place of a stale one. */
int local_server_create(struct core *core, struct local_server **out);
/* Removes the socket. Takes NULL. */
void local_server_destroy(struct local_server *server);

#endif
