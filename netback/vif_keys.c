/*
 * netback/vif_keys.c - writes the offer, reads the wishes.
 *
 * A feature that a front end writes although it was not offered is no wish of ours; what it wishes beyond the offer and
 * cannot work without (more queues, no rx-copy) closes the device.
 */
#include "netback/vif_keys.h"

#include <errno.h>
#include <stdio.h>

#include "hv/log.h"

static const struct {
	const char *key;
	unsigned value;
} offered[] = {
	{"carrier", 1},
	{"feature-rx-copy", 1},
	{"feature-rx-flip", 0},
	{"feature-sg", 1},
	{"feature-ipv6-csum-offload", 1},
	{"feature-split-event-channels", 1},
	{"feature-ctrl-ring", 1},
	{"feature-multicast-control", 1},
	{"feature-dynamic-multicast-control", 1},
	{"feature-xdp-headroom", 1},
};

static const char *const large[] = {"feature-gso-tcpv4", "feature-gso-tcpv6"};

int vif_keys_offer(struct handshake *h, unsigned max_queues, bool takes_large)
{
	int err, end_err;

	store_client_batch_begin(h->store);
	err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "multi-queue-max-queues", "%u", max_queues);
	for (size_t i = 0; i < RTE_DIM(offered) && !err; i++)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, offered[i].key, "%u", offered[i].value);
	for (size_t i = 0; i < RTE_DIM(large) && !err; i++)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, large[i], "%u", takes_large);
	end_err = store_client_batch_end(h->store);
	return err ? err : end_err;
}

static bool has_offered(struct handshake *h, const char *key, uint64_t value)
{
	uint64_t said = 0;

	return store_client_read_uint(h->store, STORE_NO_TX, &said, "%s/%s", h->own_path, key) == 0 && said == value;
}

bool vif_keys_are_offered(struct handshake *h, unsigned max_queues, bool takes_large)
{
	return has_offered(h, "multi-queue-max-queues", max_queues) && has_offered(h, large[0], takes_large) &&
	       has_offered(h, large[1], takes_large);
}

/* dir: "" or "queue-3/". */
static int number(struct handshake *h, const char *dir, const char *key, uint32_t *value)
{
	uint64_t n = 0;
	int err = store_client_read_uint(h->store, STORE_NO_TX, &n, "%s/%s%s", h->other_path, dir, key);

	if (err)
		return err;
	*value = (uint32_t)n;
	return n <= UINT32_MAX ? 0 : -ERANGE;
}

static int refuse(struct handshake *h, const char *dir, const char *key, int err)
{
	handshake_fail(h, "the front end's %s%s is %s", dir, key, err == -ENOENT ? "missing" : "not a number in range");
	return -EINVAL;
}

static int must(struct handshake *h, const char *dir, const char *key, uint32_t *value)
{
	int err = number(h, dir, key, value);

	return err ? refuse(h, dir, key, err) : 0;
}

static bool is_set(struct handshake *h, const char *key)
{
	uint32_t value = 0;

	return number(h, "", key, &value) == 0 && value != 0;
}

static int read_queue(struct handshake *h, const char *dir, struct vif_keys *keys)
{
	uint32_t tx, rx;
	int split, err = must(h, dir, "tx-ring-ref", &keys->tx_ring_ref);

	err = err ? err : must(h, dir, "rx-ring-ref", &keys->rx_ring_ref);
	if (err)
		return err;
	split = number(h, dir, "event-channel-tx", &tx);
	if (split == -ENOENT) {
		err = must(h, dir, "event-channel", &tx);
		rx = tx;
	} else {
		err = split ? refuse(h, dir, "event-channel-tx", split) : must(h, dir, "event-channel-rx", &rx);
	}
	if (err)
		return err;
	keys->tx_port = tx;
	keys->rx_port = rx;
	return 0;
}

static int read_queues(struct handshake *h, unsigned max_queues, struct vif_wishes *wishes)
{
	uint32_t nr = 1;
	char dir[24] = "";
	int err = number(h, "", "multi-queue-num-queues", &nr);

	if ((err && err != -ENOENT) || nr == 0 || nr > max_queues) {
		handshake_fail(h, "the front end's multi-queue-num-queues is not a number from 1 to %u", max_queues);
		return -EINVAL;
	}
	wishes->nr_queues = nr;
	for (unsigned i = 0; i < nr; i++) {
		if (nr > 1)
			snprintf(dir, sizeof(dir), "queue-%u/", i);
		err = read_queue(h, dir, &wishes->keys[i]);
		if (err)
			return err;
	}
	return 0;
}

/* Segmentation needs scatter-gather and the family's checksum offload. */
static unsigned read_caps(struct handshake *h, bool sg)
{
	unsigned caps = 0;

	if (!is_set(h, "feature-no-csum-offload"))
		caps |= OFFLOAD_CSUM_IPV4;
	if (is_set(h, "feature-ipv6-csum-offload"))
		caps |= OFFLOAD_CSUM_IPV6;
	if (sg && (caps & OFFLOAD_CSUM_IPV4) && is_set(h, "feature-gso-tcpv4"))
		caps |= OFFLOAD_GSO_IPV4;
	if (sg && (caps & OFFLOAD_CSUM_IPV6) && is_set(h, "feature-gso-tcpv6"))
		caps |= OFFLOAD_GSO_IPV6;
	return caps;
}

static int read_ctrl(struct handshake *h, struct vif_wishes *wishes)
{
	int err = number(h, "", "ctrl-ring-ref", &wishes->ctrl_ring_ref);

	if (err == -ENOENT)
		return 0;
	wishes->has_ctrl = true;
	return err ? refuse(h, "", "ctrl-ring-ref", err) : must(h, "", "event-channel-ctrl", &wishes->ctrl_port);
}

bool vif_keys_want_mcast(struct handshake *h)
{
	return is_set(h, "request-multicast-control");
}

uint16_t vif_keys_headroom(struct handshake *h)
{
	uint32_t bytes = 0;
	int err = number(h, "", "xdp-headroom", &bytes);

	if ((!err && bytes <= VIF_MAX_HEADROOM) || err == -ENOENT)
		return (uint16_t)bytes;
	log_warn("%s/xdp-headroom is not a number of bytes up to %u: frames get none", h->other_path, VIF_MAX_HEADROOM);
	return 0;
}

/* All that vif_keys_read wants of a vif with one queue. */
static const char *const wished[] = {
	"request-rx-copy", "multi-queue-num-queues", "tx-ring-ref", "rx-ring-ref", "event-channel-tx", "event-channel-rx",
	"ctrl-ring-ref", "event-channel-ctrl", "request-multicast-control", "feature-sg", "xdp-headroom", "feature-rx-notify",
	"feature-no-csum-offload", "feature-ipv6-csum-offload", "feature-gso-tcpv4", "feature-gso-tcpv6",
};

int vif_keys_read(struct handshake *h, unsigned max_queues, struct vif_wishes *wishes)
{
	int err;

	*wishes = (struct vif_wishes){0};
	store_client_prefetch(h->store, h->other_path, wished, RTE_DIM(wished));
	if (!is_set(h, "request-rx-copy")) {
		handshake_fail(h, "the front end does not request rx-copy, the only way this back end delivers");
		return -EOPNOTSUPP;
	}
	err = read_queues(h, max_queues, wishes);
	err = err ? err : read_ctrl(h, wishes);
	if (err)
		return err;
	wishes->wants_mcast = vif_keys_want_mcast(h);
	wishes->features.sg = is_set(h, "feature-sg");
	wishes->features.headroom = vif_keys_headroom(h);
	wishes->features.rx_notify = is_set(h, "feature-rx-notify");
	wishes->features.caps = read_caps(h, wishes->features.sg);
	return 0;
}
