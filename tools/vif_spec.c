/*
 * tools/vif_spec.c - one string of xl.cfg's vif list.
 *
 *      "mac=00:16:3e:01:02:03, bridge=br0"   -->   split at commas   -->   key table   -->   struct vif_spec
 *
 * Fails    -EINVAL and a sentence that names the key: unknown keys, values out of range, keys whose work nobody does here.
 * Spec     xl-network-configuration(5) of Xen.
 */
#include "tools/vif_spec.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <libxl.h>
#include <libxlutil.h>

struct problem {
	char *text;
	size_t bytes;
};

__attribute__((format(printf, 2, 3))) static int problem(struct problem *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->text, p->bytes, fmt, args);
	va_end(args);
	return -EINVAL;
}

int vif_spec_parse_mac(uint8_t mac[6], const char *text)
{
	uint8_t parsed[6], any = 0;

	for (unsigned i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) || text[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		parsed[i] = (uint8_t)strtoul((char[3]){ text[0], text[1], '\0' }, NULL, 16);
		any |= parsed[i];
	}
	if (!any || (parsed[0] & 1))
		return -EINVAL;
	memcpy(mac, parsed, 6);
	return 0;
}

int vif_spec_random_mac(uint8_t mac[6])
{
	uint8_t random[3];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	mac[0] = 0x00;
	mac[1] = 0x16;
	mac[2] = 0x3e;
	mac[3] = random[0] & 0x7f; /* as xl does: the upper half of the range is left to administrators */
	mac[4] = random[1];
	mac[5] = random[2];
	return 0;
}

static int parse_number(const char *value, unsigned long min, unsigned long max, unsigned long *out)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)value[0]))
		return -EINVAL;
	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || n < min || n > max)
		return -EINVAL;
	*out = n;
	return 0;
}

/* Names that become store values and interface names: nothing that could mislead a reader of either. */
static int set_text(char out[VIF_SPEC_TEXT], const char *key, const char *value, struct problem *p)
{
	size_t bytes = strlen(value);

	if (bytes == 0 || bytes >= VIF_SPEC_TEXT)
		return problem(p, "%s=%.80s: it must have 1 to 63 characters", key, value);
	for (size_t i = 0; i < bytes; i++)
		if (!isgraph((unsigned char)value[i]) || value[i] == '/')
			return problem(p, "%s=%.80s: it has a blank, a slash or a control character", key, value);
	memcpy(out, value, bytes + 1);
	return 0;
}

static int key_mac(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	if (vif_spec_parse_mac(spec->mac, value) < 0)
		return problem(p, "%s=%.80s is not a unicast MAC address like 00:16:3e:01:02:03", key, value);
	spec->has_mac = true;
	return 0;
}

static int key_bridge(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	return set_text(spec->bridge, key, value, p);
}

static int key_vifname(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	return set_text(spec->vifname, key, value, p);
}

static int key_ip(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	return set_text(spec->ip, key, value, p);
}

static int key_mtu(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	unsigned long n;

	if (parse_number(value, 68, 65521, &n) < 0)
		return problem(p, "%s=%.80s: it must be 68 to 65521 bytes", key, value);
	spec->mtu = (unsigned)n;
	return 0;
}

static int key_devid(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	unsigned long n;

	if (parse_number(value, 0, 255, &n) < 0)
		return problem(p, "%s=%.80s: it must be 0 to 255", key, value);
	spec->devid = (int)n;
	return 0;
}

/* "10Mb/s", "1MB/s@20ms": Xen's own parser knows what that is, and says nothing of what is wrong that a reader would understand. */
static int key_rate(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	FILE *null = fopen("/dev/null", "we");
	XLU_Config *cfg = null ? xlu_cfg_init(null, key) : NULL;
	libxl_device_nic nic = {0};
	int err = cfg ? xlu_vif_parse_rate(cfg, value, &nic) : ENOMEM;

	if (cfg)
		xlu_cfg_destroy(cfg);
	if (null)
		fclose(null);
	if (err || !nic.rate_bytes_per_interval || !nic.rate_interval_usecs)
		return problem(p, "%s=%.80s: it must be a rate like 10Mb/s or 1MB/s@20ms", key, value);
	spec->rate_bytes = nic.rate_bytes_per_interval;
	spec->rate_usecs = nic.rate_interval_usecs;
	return 0;
}

static int key_type(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	if (!strcmp(value, "vif"))
		return 0;
	return problem(p, "%s=%.80s: only 'vif' exists here, there are no emulated cards", key, value);
}

static int key_backend(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	if (!strcmp(value, "0") || !strcmp(value, "Domain-0"))
		return 0;
	return problem(p, "%s=%.80s: only Domain-0 serves devices", key, value);
}

/* xl says of it: for emulated cards only. */
static int key_model(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	return 0;
}

static int key_refused(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	return problem(p, "%s= is not supported yet: remove it", key);
}

static int key_script(struct vif_spec *spec, const char *key, const char *value, struct problem *p)
{
	return problem(p, "%s=%.80s: no scripts are run, sluice-netback plugs vifs in by itself: remove it", key, value);
}

static const struct key {
	const char *name;
	int (*set)(struct vif_spec *spec, const char *key, const char *value, struct problem *p);
} keys[] = {
	{ "accel", key_refused },   { "backend", key_backend }, { "bridge", key_bridge },     { "devid", key_devid },
	{ "gatewaydev", key_refused }, { "ip", key_ip },	{ "mac", key_mac },	      { "model", key_model },
	{ "mtu", key_mtu },	    { "netdev", key_refused },  { "rate", key_rate },      { "script", key_script },
	{ "trusted", key_refused }, { "type", key_type },	{ "vifname", key_vifname },
};

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static int parse_setting(struct vif_spec *spec, char *setting, struct problem *p)
{
	char *equals = strchr(setting, '='), *key, *value;

	if (!equals)
		return problem(p, "'%.80s' is not key=value", setting);
	*equals = '\0';
	key = trim(setting);
	value = trim(equals + 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].name, key))
			return keys[i].set(spec, key, value, p);
	return problem(p, "there is no key '%.80s'", key);
}

int vif_spec_parse(struct vif_spec *spec, const char *text, char *why, size_t why_bytes)
{
	struct problem p = { why, why_bytes };
	char *copy, *rest, *setting;
	int ret = 0;

	*spec = (struct vif_spec){ .devid = -1 };
	copy = strdup(text);
	if (!copy)
		return problem(&p, "no memory");
	rest = copy;
	/* An empty string is a vif with nothing said; an empty setting between commas is a slip of the pen. */
	if (*trim(rest) == '\0')
		goto free_copy;
	while (!ret && (setting = strsep(&rest, ",")))
		ret = parse_setting(spec, trim(setting), &p);
free_copy:
	free(copy);
	return ret;
}
