/*
 * rings/netif.h - the network device's rings. tx and rx are the guest's view.
 *
 * Spec     xen/io/netif.h. Entries per 4 KiB page: tx 256, rx 256, ctrl 128.
 */
#ifndef SLUICE_RINGS_NETIF_H
#define SLUICE_RINGS_NETIF_H

#include "rings/ring.h"

#include <xen/io/netif.h>

RING_DEFINE(netif_txr, struct netif_tx_request, struct netif_tx_response);
RING_DEFINE(netif_rxr, struct netif_rx_request, struct netif_rx_response);
RING_DEFINE(netif_ctrlr, struct xen_netif_ctrl_request, struct xen_netif_ctrl_response);

_Static_assert(sizeof(union netif_txr_slot) == sizeof(union netif_tx_sring_entry), "tx slot");
_Static_assert(sizeof(union netif_rxr_slot) == sizeof(union netif_rx_sring_entry), "rx slot");
_Static_assert(offsetof(struct netif_tx_sring, ring) == offsetof(struct netif_txr_area_sh, slot), "tx head");
_Static_assert(offsetof(struct netif_tx_sring, rsp_event) == offsetof(struct ring_head_sh, rsp_event), "head");
_Static_assert(sizeof(struct netif_tx_request) == 12 && sizeof(struct netif_tx_response) == 4, "tx wire");
_Static_assert(sizeof(struct netif_rx_request) == 8 && sizeof(struct netif_rx_response) == 8, "rx wire");
_Static_assert(offsetof(struct netif_tx_request, size) == 10, "tx wire");
_Static_assert(offsetof(struct netif_rx_request, gref) == 4, "rx wire");
_Static_assert(offsetof(struct netif_rx_response, status) == 6, "rx wire");
_Static_assert(sizeof(struct xen_netif_ctrl_request) == 16 && sizeof(struct xen_netif_ctrl_response) == 12, "ctrl wire");
_Static_assert(sizeof(struct xen_netif_gref) == 8, "ctrl wire");

#endif
