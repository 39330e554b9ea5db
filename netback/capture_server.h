/*
 * netback/capture_server.h - the socket where sluice asks for captures and mirrors.
 *
 *      session:  connect --> request --> the vif's list of captures --> end of file, or vif or port gone --> off the list
 *
 * A session lives as long as its connection: a sluice that was killed leaves nothing behind.
 *
 * Owns     the socket and its name, sessions, their captures.
 * Trusts   root and the user it runs as (SO_PEERCRED), and not a byte of what they send.
 * Runs in  the control thread; changes of a vif's list in the worker's.
 * Fails    a back end without this socket serves its guests all the same.
 */
#ifndef SLUICE_NETBACK_CAPTURE_SERVER_H
#define SLUICE_NETBACK_CAPTURE_SERVER_H

struct bridge_port;
struct capture_server;
struct device;
struct netback;

/* Makes the socket; nb is all set up but for its devices. */
int capture_server_create(struct netback *nb, struct capture_server **out);
/* Ends every session. Takes NULL. */
void capture_server_destroy(struct capture_server *server);

/* The vif goes for good. Takes a NULL server, as the next. */
void capture_server_forget_device(struct capture_server *server, const struct device *d);
/* The port leaves the bridge; it is still on it. */
void capture_server_forget_port(struct capture_server *server, const struct bridge_port *port);

#endif
