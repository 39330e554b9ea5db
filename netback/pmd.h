/*
 * netback/pmd.h - the vif as an ethdev of sluice-netback: driver net_netback on DPDK's vdev bus.
 *
 * While a vif is connected it is an ethdev like any port: testpmd's functions, pdump and telemetry see it. DPDK has 32
 * places for ethdevs in all; a vif that finds none works without (its burst functions are the same).
 *
 * Runs in  the control thread; the burst functions in the worker.
 */
#ifndef SLUICE_NETBACK_PMD_H
#define SLUICE_NETBACK_PMD_H

#include "netback/vif.h"

/* Registers the driver with the vdev bus. -ENOTSUP: this DPDK's driver interface is not the one we know. */
int pmd_register(void);
/* The connected vif becomes ethdev net_netback<domid>_<devid>, not yet configured. -ENOSPC: no place; -ENOTSUP. */
int pmd_attach(struct vif *vif, uint16_t *port_id);
/* Removes the ethdev, which has been stopped. */
void pmd_detach(struct vif *vif);

#endif
