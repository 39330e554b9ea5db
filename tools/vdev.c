/*
 * tools/vdev.c - virtual disk names and their numbers.
 *
 *      1 << 28 | disk << 8 | partition        xvd, disk >= 16 or partition >= 16 (20 bits of disk, 8 of partition)
 *      202 << 8 | disk << 4 | partition       xvd, below that
 *        8 << 8 | disk << 4 | partition       sd, disk < 16
 *        3 << 8 | disk << 6 | partition       hda, hdb;  22 << 8 for hdc, hdd
 *
 * Spec     docs/man/xen-vbd-interface(7) of Xen.
 */
#include "tools/vdev.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VDEV_MAX_DISK 0xfffffu
#define VDEV_EXTENDED (1u << 28)

/* a, b, .. z, aa, ab, ..; moves *text behind them. */
static int parse_letters(const char **text, uint32_t *disk)
{
	const char *p = *text;
	uint32_t n = 0;

	while (islower((unsigned char)*p)) {
		n = n * 26 + (uint32_t)(*p++ - 'a') + 1;
		if (n > VDEV_MAX_DISK + 1)
			return -EINVAL;
	}
	if (p == *text)
		return -EINVAL;
	*text = p;
	*disk = n - 1;
	return 0;
}

/* Up to 7 digits; moves *text behind them. */
static int parse_digits(const char **text, uint32_t *out)
{
	const char *p = *text;
	uint32_t n = 0;

	while (isdigit((unsigned char)*p) && p - *text < 7)
		n = n * 10 + (uint32_t)(*p++ - '0');
	if (p == *text)
		return -EINVAL;
	*text = p;
	*out = n;
	return 0;
}

static int number_xvd(uint32_t disk, uint32_t partition, uint32_t *number)
{
	if (disk > VDEV_MAX_DISK || partition > 255)
		return -EINVAL;
	*number = disk < 16 && partition < 16 ? 202u << 8 | disk << 4 | partition : VDEV_EXTENDED | disk << 8 | partition;
	return 0;
}

static int number_sd(uint32_t disk, uint32_t partition, uint32_t *number)
{
	if (disk > 15 || partition > 15)
		return -EINVAL;
	*number = 8u << 8 | disk << 4 | partition;
	return 0;
}

static int number_hd(uint32_t disk, uint32_t partition, uint32_t *number)
{
	if (disk > 3 || partition > 63)
		return -EINVAL;
	*number = (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | partition;
	return 0;
}

static int parse_number(const char *name, uint32_t *number)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(name, &end, 0);
	if (errno || *end || n == 0 || n >= 1u << 29)
		return -EINVAL;
	*number = (uint32_t)n;
	return 0;
}

static const struct family {
	const char *prefix;
	int (*number)(uint32_t disk, uint32_t partition, uint32_t *number);
} families[] = { { "xvd", number_xvd }, { "sd", number_sd }, { "hd", number_hd } };

/* "d0p1": the name that says the numbers. */
static int parse_plain(const char *name, uint32_t *number)
{
	uint32_t disk, partition = 0;

	if (*name++ != 'd' || parse_digits(&name, &disk) < 0)
		return -EINVAL;
	if (*name == 'p') {
		name++;
		if (parse_digits(&name, &partition) < 0)
			return -EINVAL;
	}
	return *name ? -EINVAL : number_xvd(disk, partition, number);
}

int vdev_parse(const char *name, uint32_t *number)
{
	if (isdigit((unsigned char)name[0]))
		return parse_number(name, number);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		const char *p = name + strlen(families[i].prefix);
		uint32_t disk, partition = 0;

		if (strncmp(name, families[i].prefix, strlen(families[i].prefix)))
			continue;
		if (parse_letters(&p, &disk) < 0 || (*p && (*p == '0' || parse_digits(&p, &partition) < 0)) || *p)
			return -EINVAL;
		return families[i].number(disk, partition, number);
	}
	return parse_plain(name, number);
}

static void put_letters(uint32_t disk, char letters[8])
{
	char reversed[8];
	unsigned n = 0;

	for (disk++; disk > 0; disk = (disk - 1) / 26)
		reversed[n++] = (char)('a' + (disk - 1) % 26);
	for (unsigned i = 0; i < n; i++)
		letters[i] = reversed[n - 1 - i];
	letters[n] = '\0';
}

static const char *put_name(char *name, size_t bytes, const char *prefix, uint32_t disk, uint32_t partition)
{
	char letters[8];

	put_letters(disk, letters);
	if (partition)
		snprintf(name, bytes, "%s%s%u", prefix, letters, partition);
	else
		snprintf(name, bytes, "%s%s", prefix, letters);
	return name;
}

const char *vdev_name(uint32_t number, char *name, size_t bytes)
{
	uint32_t major = number >> 8;

	if (number & VDEV_EXTENDED && number < VDEV_EXTENDED << 1)
		return put_name(name, bytes, "xvd", (number >> 8) & VDEV_MAX_DISK, number & 255);
	if (major == 202)
		return put_name(name, bytes, "xvd", (number >> 4) & 15, number & 15);
	if (major == 8)
		return put_name(name, bytes, "sd", (number >> 4) & 15, number & 15);
	if ((major == 3 || major == 22) && (number & 255) < 128)
		return put_name(name, bytes, "hd", (major == 22 ? 2 : 0) + ((number >> 6) & 1), number & 63);
	snprintf(name, bytes, "?");
	return name;
}
