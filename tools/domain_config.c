/*
 * tools/domain_config.c - an xl.cfg file, read and checked.
 *
 *      text  -->  libxlutil  -->  one function a key  -->  struct domain_config  -->  resolve: what the host must have
 *
 * Owns     the libxlutil config and its report, for one parse.
 * Fails    -EINVAL; *why is one sentence that names the file, the key and the remedy.
 * Spec     xl.cfg(5) of Xen.
 */
#include "tools/domain_config.h"

#include <errno.h>
#include <libxlutil.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_abi.h"
#include "tools/config_keys.h"
#include "tools/vdev.h"

#define MIN_MEMORY_MIB 4
#define MAX_MEMORY_MIB (LOCAL_MAX_FRAMES / 256)

struct parse {
	struct domain_config *config;
	XLU_Config *xlu;
	const char *source;
	char **why;
	FILE *report; /* what libxlutil says */
	char *report_text;
	size_t report_bytes;
};

__attribute__((format(printf, 2, 3))) static int fail(struct parse *p, const char *fmt, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	free(*p->why);
	if (!text || asprintf(p->why, "%s: %s", p->source, text) < 0)
		*p->why = NULL;
	free(text);
	return -EINVAL;
}

/* libxlutil's own words, its first line. It may begin with the file's name already. */
static int fail_as_reported(struct parse *p, const char *what)
{
	const char *text;
	size_t skip;

	fflush(p->report);
	text = p->report_text ? p->report_text : "";
	text += strspn(text, "\n ");
	skip = strlen(p->source);
	if (!strncmp(text, p->source, skip) && text[skip] == ':')
		text += skip + 1;
	text += strspn(text, " ");
	if (!*text)
		return fail(p, "%s cannot be read", what);
	return fail(p, "%s%s%.*s", what, *what ? ": " : "", (int)strcspn(text, "\n"), text);
}

/* ---- one function a key -------------------------------------------------------------------------------------------- */

static int get_string(struct parse *p, const char *key, const char **value)
{
	int err = xlu_cfg_get_string(p->xlu, key, value, 1);

	if (err == ESRCH)
		*value = NULL;
	return err && err != ESRCH ? fail(p, "%s= must be one string", key) : 0;
}

static int get_number(struct parse *p, const char *key, long min, long max, long absent, long *value)
{
	const char *text;
	char *end;
	int ret = get_string(p, key, &text);

	if (ret)
		return ret;
	*value = absent;
	if (!text)
		return 0;
	errno = 0;
	*value = strtol(text, &end, 0);
	if (errno || end == text || *end || *value < min || *value > max)
		return fail(p, "%s=%.40s: it must be a number from %ld to %ld", key, text, min, max);
	return 0;
}

static int copy_string(struct parse *p, char **out, const char *value)
{
	*out = strdup(value);
	return *out ? 0 : fail(p, "no memory");
}

static int parse_name(struct parse *p)
{
	const char *name;
	int ret = get_string(p, "name", &name);

	if (ret)
		return ret;
	if (!name || !*name)
		return fail(p, "the domain has no name: add name=\"...\"");
	if (strlen(name) > 63)
		return fail(p, "name=\"%.70s...\": it has more than 63 characters", name);
	for (const char *c = name; *c; c++)
		if (*c == '/' || (unsigned char)*c <= ' ' || *c == 0x7f)
			return fail(p, "name=\"%s\": it has a blank, a slash or a control character", name);
	if (name[strspn(name, "0123456789")] == '\0')
		return fail(p, "name=\"%s\": a number would be taken for a domain's id", name);
	return copy_string(p, &p->config->name, name);
}

static int parse_uuid(struct parse *p)
{
	const char *text;
	unsigned digits = 0;
	int ret = get_string(p, "uuid", &text);

	if (ret || !text)
		return ret;
	for (const char *c = text; *c; c++) {
		const char *hex = "0123456789abcdef", *found = strchr(hex, *c | 0x20);

		if (*c == '-' && (digits == 8 || digits == 12 || digits == 16 || digits == 20))
			continue;
		if (!found || digits == 32)
			return fail(p, "uuid=\"%.60s\" is not a UUID", text);
		p->config->uuid[digits / 2] = (uint8_t)(p->config->uuid[digits / 2] << 4 | (found - hex));
		digits++;
	}
	if (digits != 32)
		return fail(p, "uuid=\"%.60s\" is not a UUID", text);
	p->config->has_uuid = true;
	return 0;
}

static int parse_memory(struct parse *p)
{
	long memory, maxmem;
	int ret = get_number(p, "memory", 0, MAX_MEMORY_MIB, -1, &memory);

	if (!ret)
		ret = get_number(p, "maxmem", 0, MAX_MEMORY_MIB, -1, &maxmem);
	if (ret)
		return ret;
	if (memory < 0)
		memory = maxmem;
	if (memory < 0)
		return fail(p, "the domain has no memory: add memory=MEGABYTES");
	if (memory < MIN_MEMORY_MIB)
		return fail(p, "memory=%ld: a domain needs at least %d MiB", memory, MIN_MEMORY_MIB);
	if (maxmem >= 0 && maxmem != memory)
		return fail(p, "maxmem=%ld is not memory=%ld: ballooning is not supported yet, make them the same", maxmem, memory);
	p->config->memory_kib = (uint64_t)memory * 1024;
	return 0;
}

static int parse_limits(struct parse *p)
{
	long vcpus, grants, maptrack;
	int ret = get_number(p, "vcpus", 1, LOCAL_MAX_VCPUS, 1, &vcpus);

	if (!ret)
		ret = get_number(p, "max_grant_frames", 1, 1024, 0, &grants);
	if (!ret)
		ret = get_number(p, "max_maptrack_frames", 1, 65536, 0, &maptrack);
	if (ret)
		return ret;
	p->config->vcpus = (unsigned)vcpus;
	p->config->grant_frames = (unsigned)grants;
	p->config->maptrack_frames = (unsigned)maptrack;
	return 0;
}

/* xl: cmdline= stands for itself, extra= is added to root=; we have no root=. */
static int parse_kernel(struct parse *p)
{
	const char *kernel, *cmdline, *extra;
	int ret = get_string(p, "kernel", &kernel);

	if (!ret)
		ret = get_string(p, "cmdline", &cmdline);
	if (!ret)
		ret = get_string(p, "extra", &extra);
	if (ret)
		return ret;
	if (!kernel)
		return fail(p, "there is nothing to run: add kernel=\"/path/of/the/guest/program\", or kernel=\"\" for a domain that a "
			       "process will attach to");
	if (!*kernel && (cmdline || extra))
		return fail(p, "extra= and cmdline= are a program's arguments, and kernel=\"\" names no program");
	if (!cmdline)
		cmdline = extra ? extra : "";
	if (strlen(cmdline) >= sizeof(((struct local_load *)NULL)->cmdline))
		return fail(p, "extra= is longer than %zu characters", sizeof(((struct local_load *)NULL)->cmdline) - 1);
	ret = copy_string(p, &p->config->kernel, kernel);
	return ret ? ret : copy_string(p, &p->config->cmdline, cmdline);
}

static int parse_type(struct parse *p)
{
	static const char *const ends[] = { "on_poweroff", "on_reboot", "on_crash" };
	const char *value;
	int ret = get_string(p, "type", &value);

	if (ret)
		return ret;
	if (value && strcmp(value, "pv") && strcmp(value, "pvh"))
		return fail(p, "type=\"%.40s\": local guests have paravirtual devices only, use \"pv\" or \"pvh\"", value);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		ret = get_string(p, ends[i], &value);
		if (ret)
			return ret;
		if (value && strcmp(value, "destroy"))
			return fail(p, "%s=\"%.40s\": only \"destroy\" is supported yet", ends[i], value);
	}
	return 0;
}

/* ---- vif= ----------------------------------------------------------------------------------------------------------- */

static int get_list(struct parse *p, const char *key, XLU_ConfigList **list, int *nr)
{
	int err = xlu_cfg_get_list(p->xlu, key, list, nr, 1);

	if (err == ESRCH)
		*nr = 0;
	return err && err != ESRCH ? fail(p, "%s= must be a list: %s = [ '...', '...' ]", key, key) : 0;
}

static int parse_vif(struct parse *p, const char *text, unsigned place)
{
	struct vif_spec *vif = &p->config->vifs[place];
	char why[200];

	if (vif_spec_parse(vif, text, why, sizeof(why)) < 0)
		return fail(p, "vif %u: %s", place, why);
	if (vif->devid < 0)
		vif->devid = (int)place;
	for (unsigned i = 0; i < place; i++) {
		if (p->config->vifs[i].devid == vif->devid)
			return fail(p, "vif %u: devid %d is in use by vif %u", place, vif->devid, i);
		if (vif->has_mac && p->config->vifs[i].has_mac && !memcmp(p->config->vifs[i].mac, vif->mac, 6))
			return fail(p, "vif %u: its MAC address is that of vif %u", place, i);
	}
	p->config->nr_vifs++;
	return 0;
}

static int parse_vifs(struct parse *p)
{
	XLU_ConfigList *list;
	int nr, ret = get_list(p, "vif", &list, &nr);

	if (ret || !nr)
		return ret;
	p->config->vifs = calloc((size_t)nr, sizeof(p->config->vifs[0]));
	if (!p->config->vifs)
		return fail(p, "no memory");
	for (int i = 0; i < nr && !ret; i++) {
		const char *text = xlu_cfg_get_listitem(list, i);

		ret = text ? parse_vif(p, text, (unsigned)i) : fail(p, "vif %d is not a string", i);
	}
	return ret;
}

/* ---- disk= ---------------------------------------------------------------------------------------------------------- */

/* What libxlutil understood and we do not do. */
static int check_disk(struct parse *p, const char *text, const libxl_device_disk *disk)
{
	if (disk->is_cdrom)
		return fail(p, "disk '%s': CD-ROMs are not supported yet, use devtype=disk with access=ro", text);
	if (disk->format == LIBXL_DISK_FORMAT_EMPTY || !disk->pdev_path || !*disk->pdev_path)
		return fail(p, "disk '%s': it has no target=/path/of/an/image", text);
	if (disk->format != LIBXL_DISK_FORMAT_RAW)
		return fail(p, "disk '%s': format %s is not supported yet, convert it: qemu-img convert -O raw", text,
			    libxl_disk_format_to_string(disk->format));
	if (disk->backend != LIBXL_DISK_BACKEND_UNKNOWN && disk->backend != LIBXL_DISK_BACKEND_PHY)
		return fail(p, "disk '%s': sluice-blkback serves it, remove backendtype=%s", text,
			    libxl_disk_backend_to_string(disk->backend));
	if (disk->backend_domname && strcmp(disk->backend_domname, "0") && strcmp(disk->backend_domname, "Domain-0"))
		return fail(p, "disk '%s': only Domain-0 serves devices, remove backend=%s", text, disk->backend_domname);
	if (disk->script)
		return fail(p, "disk '%s': no scripts are run, remove script=", text);
	if (disk->specification == LIBXL_DISK_SPECIFICATION_VIRTIO)
		return fail(p, "disk '%s': it speaks Xen's blkif only, remove specification=virtio", text);
	if (libxl_defbool_is_default(disk->colo_enable) ? false : libxl_defbool_val(disk->colo_enable))
		return fail(p, "disk '%s': COLO is not supported, remove colo", text);
	if (!disk->vdev || !*disk->vdev)
		return fail(p, "disk '%s': it has no vdev=xvda or the like", text);
	return 0;
}

static int add_disk(struct parse *p, const char *text, const libxl_device_disk *disk)
{
	struct domain_config *config = p->config;
	struct disk_spec *spec = &config->disks[config->nr_disks];
	int ret;

	if (vdev_parse(disk->vdev, &spec->number) < 0)
		return fail(p, "disk '%s': vdev=%s is not a disk's name like xvda", text, disk->vdev);
	for (unsigned i = 0; i < config->nr_disks; i++)
		if (config->disks[i].number == spec->number)
			return fail(p, "disk '%s': vdev=%s is in use by the disk before it", text, disk->vdev);
	config->nr_disks++;
	spec->writable = disk->readwrite;
	spec->direct_io_safe = disk->direct_io_safe;
	ret = copy_string(p, &spec->target, disk->pdev_path);
	return ret ? ret : copy_string(p, &spec->vdev, disk->vdev);
}

static int parse_disk(struct parse *p, const char *text)
{
	libxl_device_disk disk;
	int ret;

	libxl_device_disk_init(&disk);
	if (xlu_disk_parse(p->xlu, 1, &text, &disk))
		ret = fail_as_reported(p, "disk");
	else
		ret = check_disk(p, text, &disk);
	if (!ret)
		ret = add_disk(p, text, &disk);
	libxl_device_disk_dispose(&disk);
	return ret;
}

static int parse_disks(struct parse *p)
{
	XLU_ConfigList *list;
	int nr, ret = get_list(p, "disk", &list, &nr);

	if (ret || !nr)
		return ret;
	p->config->disks = calloc((size_t)nr, sizeof(p->config->disks[0]));
	if (!p->config->disks)
		return fail(p, "no memory");
	for (int i = 0; i < nr && !ret; i++) {
		const char *text = xlu_cfg_get_listitem(list, i);

		ret = text ? parse_disk(p, text) : fail(p, "disk %d is not a string", i);
	}
	return ret;
}

/* ---- the file ------------------------------------------------------------------------------------------------------- */

static int check_keys(struct parse *p, const char *text, char **warnings)
{
	FILE *out = NULL;
	size_t bytes;
	char key[64];
	int ret = 0;

	if (warnings && !(out = open_memstream(warnings, &bytes)))
		return fail(p, "no memory");
	while (!ret && config_keys_next(&text, key, sizeof(key))) {
		enum config_key_kind kind = config_keys_kind(key);

		if (kind == CONFIG_KEY_REFUSED)
			ret = fail(p, "%s= is not supported here: remove it", key);
		else if (kind == CONFIG_KEY_UNKNOWN && out)
			fprintf(out, "%s: %s= is not known and has no effect\n", p->source, key);
	}
	if (out)
		fclose(out);
	return ret;
}

static int parse_all(struct parse *p, const char *text, char **warnings)
{
	static int (*const steps[])(struct parse * p) = { parse_name,	parse_uuid, parse_memory, parse_limits,
							  parse_kernel, parse_type, parse_vifs,	  parse_disks };
	int ret;

	if (xlu_cfg_readdata(p->xlu, text, (int)strlen(text)))
		return fail_as_reported(p, "");
	ret = check_keys(p, text, warnings);
	for (size_t i = 0; !ret && i < sizeof(steps) / sizeof(steps[0]); i++)
		ret = steps[i](p);
	return ret;
}

int domain_config_parse(struct domain_config *config, const char *source, const char *text, char **why, char **warnings)
{
	struct parse p = { .config = config, .source = source, .why = why };
	int ret;

	*config = (struct domain_config){ 0 };
	*why = NULL;
	if (warnings)
		*warnings = NULL;
	p.report = open_memstream(&p.report_text, &p.report_bytes);
	if (!p.report)
		return fail(&p, "no memory");
	p.xlu = xlu_cfg_init(p.report, source);
	if (!p.xlu) {
		ret = fail(&p, "no memory");
		goto close_report;
	}
	ret = parse_all(&p, text, warnings);
	xlu_cfg_destroy(p.xlu);
	if (ret)
		domain_config_finish(config);
close_report:
	fclose(p.report);
	free(p.report_text);
	return ret;
}

void domain_config_finish(struct domain_config *config)
{
	for (unsigned i = 0; i < config->nr_disks; i++) {
		free(config->disks[i].target);
		free(config->disks[i].vdev);
	}
	free(config->disks);
	free(config->vifs);
	free(config->name);
	free(config->kernel);
	free(config->cmdline);
	*config = (struct domain_config){ 0 };
}
