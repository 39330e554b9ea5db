/*
 * netback/vif_pmd_offload.h - what a packet leaves to be done, as DPDK programs say it and as the bridge does (offload.h).   [hot]
 *
 *      from the guest    blank checksum            -->   filled in, RX_L4_CKSUM_GOOD
 *                        to be segmented           -->   RX_LRO, RX_L4_CKSUM_NONE, tso_segsz, packet_type
 *      to the guest      TX_TCP_SEG, TX_*_CKSUM    -->   the same, headers read anew, the pseudo header's sum written
 *                        TX_IP_CKSUM               -->   filled in: netif has no word for it
 *                        RX_LRO, RX_L4_CKSUM_NONE  -->   to be segmented: a large packet that goes on as it came
 *
 * The words of the first half are those of DPDK's virtio and vhost drivers. A program may have written any sum, or none, into the
 * checksum field of what it leaves to us: conventions differ between drivers, so what has to stand there is written here.
 *
 * Trusts   no length and no header; both come from a program that a guest may have talked to.
 * Runs in  the lcore that polls the queue.
 */
#ifndef SLUICE_NETBACK_VIF_PMD_OFFLOAD_H
#define SLUICE_NETBACK_VIF_PMD_OFFLOAD_H

#include "netback/offload.h"

/*
 * A packet of the guest's, before the program has it. takes_large: it asked for LRO; else one that is to be segmented is a long
 * frame with its checksum: what a guest sends although it was not offered, or because the back end before this one did offer it.
 */
void vif_pmd_offload_in_some(struct rte_mbuf *m, bool takes_large);
static inline void vif_pmd_offload_in(struct rte_mbuf *m, bool takes_large)
{
	if (unlikely(offload_needs(m)))
		vif_pmd_offload_in_some(m, takes_large);
}

/* A packet of the program's, before the bursts have it. -EINVAL: it is not what its flags say. */
int vif_pmd_offload_out_some(struct rte_mbuf *m);
static inline int vif_pmd_offload_out(struct rte_mbuf *m)
{
	const uint64_t some = RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_RX_LRO;

	return likely(!(m->ol_flags & some)) ? 0 : vif_pmd_offload_out_some(m);
}

#endif
