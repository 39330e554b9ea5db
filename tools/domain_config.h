/*
 * tools/domain_config.h - an xl.cfg file, read and checked: what `sluice create` is to make.
 *
 * Owns     every string and list in it until domain_config_finish.
 * Trusts   nothing: the file is a person's. Everything that can be known before a domain exists is checked here.
 * Spec     xl.cfg(5), xl-disk-configuration(5), xl-network-configuration(5) of Xen; parsed by Xen's own libxlutil.
 */
#ifndef SLUICE_TOOLS_DOMAIN_CONFIG_H
#define SLUICE_TOOLS_DOMAIN_CONFIG_H

#include "tools/vif_spec.h"

struct disk_spec {
	char *target; /* absolute path of the image */
	char *vdev;   /* as the file spells it */
	uint32_t number;
	bool writable;
	bool direct_io_safe;
};

struct domain_config {
	char *name;
	uint8_t uuid[16];
	bool has_uuid;
	uint64_t memory_kib;
	unsigned vcpus;
	unsigned grant_frames;    /* 0: the default */
	unsigned maptrack_frames; /* 0: the default */
	char *kernel;  /* "": none, a process will attach */
	char *cmdline; /* "" when there is none */
	struct vif_spec *vifs;
	unsigned nr_vifs;
	struct disk_spec *disks;
	unsigned nr_disks;
};

/*
 * Parses text (a file's whole contents; source is its name for messages). 0, or -EINVAL with one sentence in *why, heap.
 * Things worth saying that stop nobody go, a line each, to *warnings, heap, may be NULL. Free both in any case.
 */
int domain_config_parse(struct domain_config *config, const char *source, const char *text, char **why, char **warnings);
/* Looks at the host: kernel and images. Fills in what was left to chance: MACs, uuid. As above. */
int domain_config_resolve(struct domain_config *config, char **why);
void domain_config_finish(struct domain_config *config);

#endif
