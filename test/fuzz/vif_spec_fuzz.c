/*
 * test/fuzz/vif_spec_fuzz.c - a vif string, a vdev name, and the key scanner, from any bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/config_keys.h"
#include "tools/vdev.h"
#include "tools/vif_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), why[64], key[16], name[32];
	const char *rest = text;
	struct vif_spec vif;
	uint32_t number;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (vif_spec_parse(&vif, text, why, sizeof(why)) == 0) {
		/* What was accepted keeps its promises. */
		if (vif.has_mac && (vif.mac[0] & 1))
			abort();
		if (vif.mtu && (vif.mtu < 68 || vif.mtu > 65521))
			abort();
		if (vif.devid < -1 || vif.devid > 255 || strchr(vif.bridge, '/'))
			abort();
	} else if (!memchr(why, '\0', sizeof(why))) {
		abort();
	}
	if (vdev_parse(text, &number) == 0) {
		uint32_t again;

		/* A name comes back to its number, where the number has one. */
		if (strcmp(vdev_name(number, name, sizeof(name)), "?") && (vdev_parse(name, &again) < 0 || again != number))
			abort();
	}
	while (config_keys_next(&rest, key, sizeof(key)))
		;
	if (*rest)
		abort();
	free(text);
	return 0;
}
