/*
 * test/unit/local_test.c - the local platform, two domains in a box.
 */
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box.h"
#include "hv/store_client.h"

static struct box box;

static int start(void **state)
{
	box_start(&box);
	return 0;
}

static int stop(void **state)
{
	box_stop(&box);
	return 0;
}

static bool is_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static void created_domain_is_listed_paused_and_destroyed(void **state)
{
	domid_t domid = box_create(&box, "a", 4096);
	struct toolstack_info info;
	char path[64];

	assert_int_equal(toolstack_domain_list(box.dom0, domid, &info, 1), 1);
	assert_int_equal(info.domid, domid);
	assert_true(info.paused);
	assert_int_equal(info.memory_kib, 4096);
	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	assert_true(box_has_node(&box, path));
	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), 0);
	assert_false(box_has_node(&box, path));
	box_wait_gone(&box, domid);
	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), -ESRCH);
}

static void guest_shares_and_back_end_sees_it(void **state)
{
	domid_t domid = box_create(&box, "a", 4096);
	struct hv *guest = box_run(&box, domid, "a");
	struct hv_peer *peer;
	grant_ref_t refs[4];
	void *pages, *ring;

	assert_int_equal(hv_domid(guest), domid);
	assert_int_equal(hv_share(guest, 0, 4, false, refs, &pages), 0);
	strcpy(pages, "from the guest");
	assert_int_equal(hv_peer_open(box.dom0, domid, &peer), 0);
	assert_int_equal(hv_peer_map_ring(peer, refs, 4, &ring), 0);
	assert_string_equal(ring, "from the guest");
	assert_ptr_equal(ring, pages); /* one address for one page in one process */
	hv_peer_unmap_ring(peer, ring);
	hv_peer_close(peer);
	hv_unshare(guest, pages, 4, refs);
	hv_close(guest);
	box_wait_gone(&box, domid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(created_domain_is_listed_paused_and_destroyed, start, stop),
		cmocka_unit_test_setup_teardown(guest_shares_and_back_end_sees_it, start, stop),
	};

	(void)is_readable;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
