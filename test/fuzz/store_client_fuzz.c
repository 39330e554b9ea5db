/*
 * test/fuzz/store_client_fuzz.c - the guest's store client reads arbitrary answers.
 */
#include <stdlib.h>

#include "script_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain_events(struct store_client *sc)
{
	char *path, *token;

	while (!store_client_next_watch(sc, &path, &token)) {
		free(path);
		free(token);
	}
}

static void ask(struct store_client *sc, unsigned what)
{
	char *value, **names;
	uint64_t number;
	uint32_t tx;
	unsigned nr;

	switch (what % 6) {
	case 0:
		if (!store_client_read(sc, STORE_NO_TX, "name", &value, &nr))
			free(value);
		break;
	case 1:
		if (!store_client_list(sc, STORE_NO_TX, "device", &names, &nr))
			store_client_free_list(names, nr);
		break;
	case 2:
		store_client_transaction_start(sc, &tx);
		break;
	case 3:
		store_client_read_uint(sc, STORE_NO_TX, &number, "device/vif/%u/state", 0);
		break;
	case 4:
		store_client_watch(sc, "device", "token");
		store_client_unwatch(sc, "device", "token");
		break;
	case 5:
		store_client_wait(sc, 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script_store store;
	struct store_client *sc;

	memset(&store, 0, sizeof(store));
	store.bytes = data;
	store.nr_bytes = size;
	store.ends_gone = true;
	if (script_open(&store, 1000, &sc))
		return 0;
	for (unsigned i = 0; i < 8; i++) {
		ask(sc, i + (size ? data[size - 1] : 0));
		drain_events(sc);
	}
	store_client_close(sc);
	return 0;
}
