/*
 * test/lib/front_box.h - a box with one guest that has one device, for tests of a front end against a raw back end.
 *
 * The front end itself is the test's: it opens it on the bus.
 */
#ifndef SLUICE_TEST_FRONT_BOX_H
#define SLUICE_TEST_FRONT_BOX_H

#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "frontends/frontbus.h"
#include "raw_back.h"
#include "test.h"

struct front_box {
	struct box box;
	domid_t domid;
	struct hv *guest;
	struct frontbus bus;
	const char *type; /* of the device: vbd or vif */
	unsigned devid;
	struct raw_back back;
};

/* 0, or what the bus says. */
static inline int front_box_start(struct front_box *fb, const char *type, unsigned devid, uint64_t memory_kib, unsigned vcpus)
{
	fb->type = type;
	fb->devid = devid;
	box_start(&fb->box);
	fb->domid = box_create_vcpus(&fb->box, "a", memory_kib, vcpus);
	if (!strcmp(type, "vif"))
		box_add_vif(&fb->box, fb->domid, devid, "br0");
	else
		box_add_vbd(&fb->box, fb->domid, devid, "/nowhere", "w");
	fb->guest = box_run(&fb->box, fb->domid, "a");
	return frontbus_init(&fb->bus, fb->guest);
}

static inline void front_box_stop(struct front_box *fb)
{
	frontbus_finish(&fb->bus);
	box_end(&fb->box, fb->domid, fb->guest);
}

/* The back end begins with its script. raw_back_stop ends it, or front_box_renew. */
static inline void front_box_begin(struct front_box *fb, void (*script)(struct raw_back *), const void *arg)
{
	raw_back_start(&fb->back, box_open_dom0(&fb->box), fb->type, fb->domid, fb->devid, script, (void *)(uintptr_t)arg);
}

/* Ends the back end. The next round is a new beginning, as a toolstack makes it. */
static inline void front_box_renew(struct front_box *fb)
{
	raw_back_stop(&fb->back);
	assert_int_equal(store_client_printf(hv_store(fb->box.dom0, NULL), STORE_NO_TX, fb->back.path, "state", "1"), 0);
}

/* The front end has said, where the toolstack looks for it, what is wrong. */
static inline void front_box_expect_error(struct front_box *fb, const char *words)
{
	char *why;

	assert_int_equal(store_client_readf(hv_store(fb->box.dom0, NULL), STORE_NO_TX, &why, "%s/error", fb->back.front), 0);
	assert_non_null(strstr(why, words));
	free(why);
}

#endif
