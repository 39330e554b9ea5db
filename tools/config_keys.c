/*
 * tools/config_keys.c - which keys an xl.cfg file sets.
 *
 * A key is an identifier in front of = or +=, outside strings, comments and brackets.
 */
#include "tools/config_keys.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static const struct {
	const char *key;
	enum config_key_kind kind;
} known[] = {
	{ "cmdline", CONFIG_KEY_USED },
	{ "disk", CONFIG_KEY_USED },
	{ "extra", CONFIG_KEY_USED },
	{ "kernel", CONFIG_KEY_USED },
	{ "max_grant_frames", CONFIG_KEY_USED },
	{ "max_maptrack_frames", CONFIG_KEY_USED },
	{ "maxmem", CONFIG_KEY_USED },
	{ "memory", CONFIG_KEY_USED },
	{ "name", CONFIG_KEY_USED },
	{ "on_crash", CONFIG_KEY_USED },
	{ "on_poweroff", CONFIG_KEY_USED },
	{ "on_reboot", CONFIG_KEY_USED },
	{ "type", CONFIG_KEY_USED },
	{ "uuid", CONFIG_KEY_USED },
	{ "vcpus", CONFIG_KEY_USED },
	{ "vif", CONFIG_KEY_USED },

	{ "bootloader", CONFIG_KEY_REFUSED },
	{ "builder", CONFIG_KEY_REFUSED },
	{ "cap", CONFIG_KEY_REFUSED },
	{ "channel", CONFIG_KEY_REFUSED },
	{ "cpu_weight", CONFIG_KEY_REFUSED },
	{ "cpus", CONFIG_KEY_REFUSED },
	{ "device_tree", CONFIG_KEY_REFUSED },
	{ "dtdev", CONFIG_KEY_REFUSED },
	{ "firmware", CONFIG_KEY_REFUSED },
	{ "iomem", CONFIG_KEY_REFUSED },
	{ "ioports", CONFIG_KEY_REFUSED },
	{ "irqs", CONFIG_KEY_REFUSED },
	{ "maxvcpus", CONFIG_KEY_REFUSED },
	{ "on_soft_reset", CONFIG_KEY_REFUSED },
	{ "on_watchdog", CONFIG_KEY_REFUSED },
	{ "p9", CONFIG_KEY_REFUSED },
	{ "pci", CONFIG_KEY_REFUSED },
	{ "pool", CONFIG_KEY_REFUSED },
	{ "pvcalls", CONFIG_KEY_REFUSED },
	{ "ramdisk", CONFIG_KEY_REFUSED },
	{ "rdm", CONFIG_KEY_REFUSED },
	{ "root", CONFIG_KEY_REFUSED },
	{ "seclabel", CONFIG_KEY_REFUSED },
	{ "usbctrl", CONFIG_KEY_REFUSED },
	{ "usbdev", CONFIG_KEY_REFUSED },
	{ "vdispl", CONFIG_KEY_REFUSED },
	{ "vfb", CONFIG_KEY_REFUSED },
	{ "vkb", CONFIG_KEY_REFUSED },
	{ "vsnd", CONFIG_KEY_REFUSED },
	{ "vtpm", CONFIG_KEY_REFUSED },
};

enum config_key_kind config_keys_kind(const char *key)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].key, key))
			return known[i].kind;
	return CONFIG_KEY_UNKNOWN;
}

/* Behind a string that begins at p; its end may be missing. */
static const char *skip_string(const char *p)
{
	const char quote = *p++;

	while (*p && *p != quote)
		p += p[0] == '\\' && p[1] ? 2 : 1;
	return *p ? p + 1 : p;
}

static bool is_assignment(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p[0] == '=' || (p[0] == '+' && p[1] == '=');
}

const char *config_keys_next(const char **text, char *key, size_t bytes)
{
	const char *p = *text;
	unsigned depth = 0;

	while (*p) {
		if (*p == '"' || *p == '\'') {
			p = skip_string(p);
		} else if (*p == '#') {
			p += strcspn(p, "\n");
		} else if (isalpha((unsigned char)*p) || *p == '_') {
			const char *start = p;
			size_t length;

			while (isalnum((unsigned char)*p) || *p == '_')
				p++;
			if (depth || !is_assignment(p))
				continue;
			length = (size_t)(p - start) < bytes ? (size_t)(p - start) : bytes - 1;
			memcpy(key, start, length);
			key[length] = '\0';
			*text = p;
			return key;
		} else {
			depth += *p == '[';
			depth -= *p == ']' && depth;
			p++;
		}
	}
	*text = p;
	return NULL;
}
