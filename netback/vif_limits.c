/*
 * netback/vif_limits.c - reads rate limits.
 *
 * Trusts   the toolstack's directory; a person may have written into it, so each value is checked.
 */
#include "netback/vif_limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/log.h"

#define MAX_USECS UINT64_C(1000000000)
#define MAX_AMOUNT UINT64_C(1000000000000000)

static struct rate_bucket *bucket_of(struct vif_limits *l, unsigned i)
{
	struct rate_bucket *const buckets[] = {&l->tx.bytes, &l->tx.packets, &l->rx.bytes, &l->rx.packets};

	return buckets[i];
}

static const char *const nodes[] = {"rate", "rate-packets", "rx-rate", "rx-rate-packets"};

bool vif_limits_is_node(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (strncmp(path, dir, len) || path[len] != '/')
		return false;
	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (!strcmp(path + len + 1, nodes[i]))
			return true;
	return false;
}

int vif_limits_parse(const char *text, uint64_t *amount, uint64_t *usecs)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*amount = strtoull(text, &end, 10);
	if (errno || *end != ',' || !isdigit((unsigned char)end[1]))
		return -EINVAL;
	*usecs = strtoull(end + 1, &end, 10);
	if (errno || *end || *amount > MAX_AMOUNT || *usecs > MAX_USECS || (*amount == 0) != (*usecs == 0))
		return -EINVAL;
	return 0;
}

void vif_limits_read(struct store_client *store, const char *dir, struct vif_limits *limits)
{
	store_client_prefetch(store, dir, nodes, sizeof(nodes) / sizeof(nodes[0]));
	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		uint64_t amount = 0, usecs = 0;
		char *text;

		if (store_client_readf(store, STORE_NO_TX, &text, "%s/%s", dir, nodes[i])) {
			*bucket_of(limits, i) = (struct rate_bucket){0};
			continue;
		}
		if (vif_limits_parse(text, &amount, &usecs))
			log_warn("%s/%s is '%.40s', not an amount and microseconds as in 1250000,50000: ignored", dir, nodes[i], text);
		else
			rate_bucket_set(bucket_of(limits, i), amount, usecs);
		free(text);
	}
}
