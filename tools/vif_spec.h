/*
 * tools/vif_spec.h - one string of xl.cfg's vif list: "mac=00:16:3e:01:02:03,bridge=br0,mtu=1500".
 *
 * Trusts   nothing: the string is a person's.
 * Spec     xl-network-configuration(5) of Xen.
 */
#ifndef SLUICE_TOOLS_VIF_SPEC_H
#define SLUICE_TOOLS_VIF_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIF_SPEC_TEXT 64

struct vif_spec {
	uint8_t mac[6];
	bool has_mac;
	int devid; /* -1: its place in the list */
	unsigned mtu; /* 0: not given */
	uint64_t rate_bytes; /* that the guest may send in each rate_usecs; 0: no limit */
	uint32_t rate_usecs;
	char bridge[VIF_SPEC_TEXT]; /* "": not given, as the texts below */
	char vifname[VIF_SPEC_TEXT];
	char ip[VIF_SPEC_TEXT];
};

/* 0, or -EINVAL with a sentence in why (without a full stop; names the key). *spec is written in any case. */
int vif_spec_parse(struct vif_spec *spec, const char *text, char *why, size_t why_bytes);
/* "00:16:3e:..."; a unicast address that is not all zero. 0 or -EINVAL. */
int vif_spec_parse_mac(uint8_t mac[6], const char *text);
/* An address in Xen's range 00:16:3e, as xl makes them. 0 or -errno. */
int vif_spec_random_mac(uint8_t mac[6]);

#endif
