/*
 * netback/link.h - a vif's cable, for one that is on a Linux bridge: what either end is told of the other.
 *
 *      the guest takes no packet for a second   -->   its TAP has no carrier; Linux's bridge counts it out
 *      ip link set <TAP> down                   -->   "carrier" in the vif's directory is 0; the guest's cable is out
 *
 * A vif on this program's own bridge is like a port of a switch: the cable is always in.
 *
 * Owns     a socket that Linux tells of its interfaces on.
 * Runs in  the control thread.
 * Fails    without that socket the guest is told of no change; all else works.
 * Spec     xen/io/netif.h, link state; rtnetlink(7).
 */
#ifndef SLUICE_NETBACK_LINK_H
#define SLUICE_NETBACK_LINK_H

struct device;
struct netback;

/* The device's TAP is there: both ends are told. */
void link_begin(struct device *d);
/* Before its TAP goes. */
void link_end(struct device *d);
/* Its guest may have stopped taking packets, or takes them again. */
void link_look(struct device *d);
/* After all devices. */
void link_finish(struct netback *nb);

#endif
