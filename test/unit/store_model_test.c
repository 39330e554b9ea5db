/*
 * test/unit/store_model_test.c - random clients against a model of the store that is too simple to be wrong.
 *
 * The model is an array with one place for each path of a small universe. Each step one client reads, writes, makes, removes, sets
 * permissions, begins or ends a transaction, or a domain dies and another takes its number. Answers, all nodes, permissions and
 * accounts must agree after each step, and a transaction that was committed must have been answered as if it had run at its commit.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/store_conn.h"
#include "store_box.h"

#define NAMES 3
#define PLACES (1 + NAMES + NAMES * NAMES + NAMES * NAMES * NAMES) /* /m, /m/a, /m/a/a, /m/a/a/a, ... */
#define CLIENTS 4  /* Domain-0 and guests 1 to 3 */
#define TXS 3      /* at once, over all clients */
#define LOG 40     /* operations of a transaction */
#define STEPS 6000u

struct model_perm {
	unsigned domid, access;
};

struct model_node {
	bool is_there;
	unsigned value;
	unsigned nr_perms;
	struct model_perm perms[3];
};

struct model {
	struct model_node nodes[PLACES];
};

enum op_kind { OP_READ, OP_WRITE, OP_MKDIR, OP_RM, OP_PERMS, OP_KINDS };

struct op {
	enum op_kind kind;
	unsigned place, value, nr_perms;
	struct model_perm perms[3];
	int result;      /* of the store */
	unsigned result_value;
};

struct tx {
	bool is_open, is_alone; /* alone: nobody else changed anything since it began */
	unsigned client;
	uint32_t id;
	struct model view;      /* as it sees the tree, while it is alone */
	struct op log[LOG];
	unsigned nr_ops;
};

struct world {
	struct store_box *box;
	struct store_peer *peers[CLIENTS];
	struct model model;
	struct tx txs[TXS];
	uint32_t random;
	unsigned commits, conflicts;
};

static unsigned pick(struct world *w, unsigned n)
{
	return test_random(&w->random) % n;
}

static int parent_of(unsigned place)
{
	return place ? (int)((place - 1) / NAMES) : -1;
}

static void path_of(unsigned place, char *out)
{
	if (!place) {
		strcpy(out, "/m");
		return;
	}
	path_of((unsigned)parent_of(place), out);
	out += strlen(out);
	out[0] = '/';
	out[1] = (char)('a' + (place - 1) % NAMES);
	out[2] = 0;
}

static unsigned model_access(const struct model_node *n, unsigned who)
{
	if (!who || n->perms[0].domid == who)
		return STORE_READ | STORE_WRITE | STORE_OWNER;
	for (unsigned i = 1; i < n->nr_perms; i++)
		if (n->perms[i].domid == who)
			return n->perms[i].access;
	return n->perms[0].access;
}

/* 0, -ENOENT or -EACCES; *above is the nearest place that is there. */
static int model_get(const struct model *m, unsigned place, unsigned who, unsigned access, unsigned *above)
{
	unsigned at = place, have;

	while (!m->nodes[at].is_there)
		at = (unsigned)parent_of(at);
	*above = at;
	have = model_access(&m->nodes[at], who);
	if (at == place)
		return (have & access) == access ? 0 : -EACCES;
	return !who || (have & access) ? -ENOENT : -EACCES;
}

static void model_create(struct model *m, unsigned place, unsigned above, unsigned who)
{
	if (place == above)
		return;
	model_create(m, (unsigned)parent_of(place), above, who);
	m->nodes[place] = m->nodes[above];
	m->nodes[place].value = 0;
	if (who)
		m->nodes[place].perms[0].domid = who;
}

static void model_remove(struct model *m, unsigned place)
{
	m->nodes[place].is_there = false;
	for (unsigned i = 1; i <= NAMES; i++)
		if (place * NAMES + i < PLACES)
			model_remove(m, place * NAMES + i);
}

static int model_op(struct model *m, unsigned who, const struct op *op, unsigned *value)
{
	static const unsigned needed[OP_KINDS] = {STORE_READ, STORE_WRITE, STORE_WRITE, STORE_WRITE, STORE_WRITE | STORE_OWNER};
	struct model_node *n = &m->nodes[op->place];
	unsigned above;
	int ret = model_get(m, op->place, who, needed[op->kind], &above);

	switch (op->kind) {
	case OP_READ:
		*value = n->value;
		return ret;
	case OP_WRITE:
	case OP_MKDIR:
		if (ret == -EACCES)
			return ret;
		if (ret == -ENOENT)
			model_create(m, op->place, above, who);
		if (op->kind == OP_WRITE)
			n->value = op->value;
		return 0;
	case OP_RM:
		if (ret == -ENOENT)
			return m->nodes[parent_of(op->place)].is_there ? 0 : ret;
		if (!ret)
			model_remove(m, op->place);
		return ret;
	default:
		if (ret)
			return ret;
		if (who && op->perms[0].domid != n->perms[0].domid)
			return -EPERM;
		memcpy(n->perms, op->perms, sizeof(op->perms));
		n->nr_perms = op->nr_perms;
		return 0;
	}
}

static void store_op(struct store_peer *peer, uint32_t tx, struct op *op)
{
	static const char letters[] = "nrwb";
	char path[32], text[64] = "";
	const char *value;

	path_of(op->place, path);
	switch (op->kind) {
	case OP_READ:
		value = store_peer_read(peer, tx, path, &op->result);
		op->result_value = value ? (unsigned)strtoul(value, NULL, 10) : 0;
		break;
	case OP_WRITE:
		snprintf(text, sizeof(text), "%u", op->value);
		op->result = store_peer_write(peer, tx, path, text);
		break;
	case OP_MKDIR:
		op->result = store_peer_ask(peer, XS_MKDIR, tx, NULL, path, NULL);
		break;
	case OP_RM:
		op->result = store_peer_ask(peer, XS_RM, tx, NULL, path, NULL);
		break;
	default:
		for (unsigned i = 0; i < op->nr_perms; i++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c%u", i ? " " : "",
				 letters[op->perms[i].access], op->perms[i].domid);
		op->result = store_peer_perms(peer, tx, path, text);
	}
}

static struct op random_op(struct world *w)
{
	struct op op = {.kind = pick(w, OP_KINDS), .place = 1 + pick(w, PLACES - 1), .value = 1 + pick(w, 1000)};

	if (op.kind == OP_RM && pick(w, 3))
		op.kind = OP_WRITE; /* or the tree stays bare */
	op.nr_perms = 1 + pick(w, 3);
	for (unsigned i = 0; i < 3; i++)
		op.perms[i] = (struct model_perm){pick(w, CLIENTS), pick(w, 4)};
	return op;
}

static void compare(const struct model *m, const struct store *store)
{
	unsigned owned[CLIENTS] = {0};

	for (unsigned i = 0; i < PLACES; i++) {
		const struct model_node *n = &m->nodes[i];
		const struct store_node *have;
		struct store_path path;
		struct store_key key;
		char text[32];

		path_of(i, text);
		assert_int_equal(store_path_parse(&path, store->tree.base, text, 0, false, NULL), 0);
		key = store_path_whole(&path);
		have = store_tree_find(&store->tree, &key);
		assert_int_equal(!!have, n->is_there);
		if (!have)
			continue;
		assert_int_equal(strtoul(have->value, NULL, 10), n->value);
		assert_int_equal(have->nr_perms, n->nr_perms);
		for (unsigned j = 0; j < n->nr_perms; j++) {
			assert_int_equal(have->perms[j].domid, n->perms[j].domid);
			assert_int_equal(have->perms[j].access, n->perms[j].access);
		}
		owned[n->perms[0].domid]++;
	}
	for (unsigned i = 1; i < CLIENTS; i++)
		assert_int_equal(store_domain_find(&store->tree, (domid_t)i)->nodes, owned[i] + 1); /* and its home */
	assert_int_equal(store_validate(store), 0);
}

static void others_are_not_alone(struct world *w)
{
	for (unsigned i = 0; i < TXS; i++)
		w->txs[i].is_alone = false;
}

static void step_outside(struct world *w, unsigned client)
{
	struct op op = random_op(w);
	unsigned value = 0;
	int expected = model_op(&w->model, client, &op, &value);

	store_op(w->peers[client], 0, &op);
	if (op.result != expected || (!expected && op.kind == OP_READ && op.result_value != value))
		fail_msg("client %u, operation %u, place %u: %d, not %d", client, op.kind, op.place, op.result, expected);
	if (op.kind != OP_READ && !expected)
		others_are_not_alone(w);
}

static void step_inside(struct world *w, struct tx *tx)
{
	struct op op = random_op(w);
	unsigned value = 0;

	store_op(w->peers[tx->client], tx->id, &op);
	if (tx->is_alone) {
		int expected = model_op(&tx->view, tx->client, &op, &value);

		assert_int_equal(op.result, expected);
		if (op.kind == OP_READ && !expected)
			assert_int_equal(op.result_value, value);
	}
	tx->log[tx->nr_ops++] = op;
}

static void step_end(struct world *w, struct tx *tx)
{
	bool commit = pick(w, 4) != 0;
	int ret = store_peer_end(w->peers[tx->client], tx->id, commit);

	tx->is_open = false;
	if (!commit || ret) {
		assert_true(ret == 0 || (ret == -EAGAIN && !tx->is_alone));
		w->conflicts += ret != 0;
		return;
	}
	w->commits++;
	for (unsigned i = 0; i < tx->nr_ops; i++) {
		unsigned value = 0;
		int expected = model_op(&w->model, tx->client, &tx->log[i], &value);

		assert_int_equal(tx->log[i].result, expected);
		if (tx->log[i].kind == OP_READ && !expected)
			assert_int_equal(tx->log[i].result_value, value);
	}
	others_are_not_alone(w);
}

static void step_tx(struct world *w, unsigned client)
{
	struct tx *tx = &w->txs[pick(w, TXS)];

	if (!tx->is_open) {
		*tx = (struct tx){.is_open = true, .is_alone = true, .client = client, .view = w->model};
		tx->id = store_peer_begin(w->peers[client]);
	} else if (tx->nr_ops == LOG || !pick(w, 8)) {
		step_end(w, tx);
	} else {
		step_inside(w, tx);
	}
}

static void step_death(struct world *w, unsigned client)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct model_node *n = &w->model.nodes[i];
		unsigned kept = 1;

		if (!n->is_there)
			continue;
		if (n->perms[0].domid == client) {
			model_remove(&w->model, i);
			continue;
		}
		for (unsigned j = 1; j < n->nr_perms; j++)
			if (n->perms[j].domid != client)
				n->perms[kept++] = n->perms[j];
		n->nr_perms = kept;
	}
	for (unsigned i = 0; i < TXS; i++)
		w->txs[i].is_open = w->txs[i].is_open && w->txs[i].client != client;
	others_are_not_alone(w);
	w->box->alive[client] = false;
	store_release_domain(w->box->store, (domid_t)client);
	assert_int_equal(store_validate(w->box->store), 0);
	store_peer_close(w->peers[client]);
	w->peers[client] = store_box_guest(w->box, (domid_t)client);
}

static void run(uint32_t seed)
{
	static struct world world;
	struct world *w = &world;

	*w = (struct world){.random = seed, .box = store_box_create(NULL)};
	w->peers[0] = store_box_connect(w->box);
	for (unsigned i = 1; i < CLIENTS; i++)
		w->peers[i] = store_box_guest(w->box, (domid_t)i);
	assert_int_equal(store_peer_write(w->peers[0], 0, "/m", "0"), 0);
	assert_int_equal(store_peer_perms(w->peers[0], 0, "/m", "r0 b1 b2"), 0);
	w->model.nodes[0] = (struct model_node){true, 0, 3, {{0, STORE_READ}, {1, 3}, {2, 3}}};
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned client = pick(w, CLIENTS), what = pick(w, 100);

		if (what < 50)
			step_outside(w, pick(w, 3) ? client : 0);
		else if (what < 99 || !client)
			step_tx(w, client);
		else
			step_death(w, client);
		/* What a death leaves of the root's permissions is given back, so that guests keep a place to play. */
		if (w->model.nodes[0].nr_perms < 3) {
			assert_int_equal(store_peer_perms(w->peers[0], 0, "/m", "r0 b1 b2"), 0);
			w->model.nodes[0] = (struct model_node){true, w->model.nodes[0].value, 3, {{0, STORE_READ}, {1, 3}, {2, 3}}};
			others_are_not_alone(w);
		}
		compare(&w->model, w->box->store);
	}
	assert_true(w->commits > 20 && w->conflicts > 20);
	for (unsigned i = 0; i < CLIENTS; i++)
		store_peer_close(w->peers[i]);
	store_box_destroy(w->box);
}

static void random_clients_see_what_the_model_says(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 4; seed++)
		run(seed * 2654435761u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_clients_see_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
