/*
 * hv/evtchn_send.c - sends and takes events through a domain's shared info.   [hot]
 *
 * Trusts   nothing behind shared_sh; port_vcpu and vcpu_polling are the core's or our own.
 * Runs in  any thread. One system call, and only on the edge.
 * Spec     xen/xen.h struct shared_info; the order of the bits is the 2-level ABI's.
 */
#include "hv/evtchn_send.h"

#include <unistd.h>

#include "rings/atomics.h"

#define WORD_BITS (sizeof(xen_ulong_t) * 8)

static inline unsigned word_of(evtchn_port_t port)
{
	return port / WORD_BITS;
}

static inline xen_ulong_t bit_of(evtchn_port_t port)
{
	return (xen_ulong_t)1 << (port % WORD_BITS);
}

static inline unsigned vcpu_of(const struct evtchn_domain *d, evtchn_port_t port)
{
	unsigned vcpu = load_relaxed(&d->port_vcpu[port]);

	return vcpu < d->nr_vcpus ? vcpu : 0;
}

/* A full counter is as good as one: the fd is readable, and non-blocking for that case. */
static void wake_vcpu(const struct evtchn_domain *d, unsigned vcpu)
{
	uint64_t one = 1;
	ssize_t n = write(d->vcpu_fd[vcpu], &one, sizeof(one));

	(void)n;
}

/* Marks the word in the vcpu's selector; wakes it when its upcall was not pending yet, or always when asked to. */
static bool mark_vcpu(const struct evtchn_domain *d, unsigned vcpu, xen_ulong_t sel)
{
	struct vcpu_info *sh = &d->shared_sh->vcpu_info[vcpu];

	/* Both pair with evtchn_take's exchanges, which go the other way: upcall first, selector second. */
	if (fetch_or_acq_rel(&sh->evtchn_pending_sel, sel) & sel)
		return false;
	if (exchange_acq_rel(&sh->evtchn_upcall_pending, 1))
		return false;
	wake_vcpu(d, vcpu);
	return true;
}

bool evtchn_kick(const struct evtchn_domain *d, evtchn_port_t port)
{
	if (port >= LOCAL_MAX_PORTS)
		return false;
	return mark_vcpu(d, vcpu_of(d, port), (xen_ulong_t)1 << word_of(port));
}

bool evtchn_send(const struct evtchn_domain *d, evtchn_port_t port)
{
	struct shared_info *sh = d->shared_sh;
	unsigned vcpu;
	bool woken = false;

	if (port >= LOCAL_MAX_PORTS)
		return false;
	/* Release: what the event tells of is seen by whoever takes it (evtchn_take clears the bit with acquire). */
	if (fetch_or_acq_rel(&sh->evtchn_pending[word_of(port)], bit_of(port)) & bit_of(port))
		return false;
	full_fence(); /* pairs with evtchn_clear_mask's: either we see it unmasked or it sees our bit */
	vcpu = vcpu_of(d, port);
	if (!(load_relaxed(&sh->evtchn_mask[word_of(port)]) & bit_of(port)))
		woken = mark_vcpu(d, vcpu, (xen_ulong_t)1 << word_of(port));
	if (!woken && d->vcpu_polling && load_relaxed(&d->vcpu_polling[vcpu])) {
		wake_vcpu(d, vcpu);
		woken = true;
	}
	return woken;
}

void evtchn_send_loudly(const struct evtchn_domain *d, evtchn_port_t port)
{
	if (port < LOCAL_MAX_PORTS && !evtchn_send(d, port))
		wake_vcpu(d, vcpu_of(d, port));
}

/*
 * Ports in this word that belong to other vcpus. Their own selector bit is set as a rule, and then nothing happens; it is
 * not when a sender still had the port's old vcpu in mind.
 */
static void pass_on(const struct evtchn_domain *d, unsigned vcpu, unsigned word, xen_ulong_t others)
{
	while (others) {
		evtchn_port_t port = word * WORD_BITS + (unsigned)__builtin_ctzl(others);

		others &= others - 1;
		if (vcpu_of(d, port) != vcpu)
			evtchn_kick(d, port);
	}
}

/* Which of these pending bits are this vcpu's. */
static xen_ulong_t own_bits(const struct evtchn_domain *d, unsigned vcpu, unsigned word, xen_ulong_t bits)
{
	xen_ulong_t own = 0, left;

	if (d->nr_vcpus == 1)
		return bits;
	for (left = bits; left; left &= left - 1)
		if (vcpu_of(d, word * WORD_BITS + (unsigned)__builtin_ctzl(left)) == vcpu)
			own |= left & -left;
	return own;
}

unsigned evtchn_take(const struct evtchn_domain *d, unsigned vcpu, evtchn_port_t ports[], unsigned max)
{
	struct shared_info *sh = d->shared_sh;
	struct vcpu_info *v_sh = &sh->vcpu_info[vcpu];
	xen_ulong_t sel, bits, own, bit;
	uint64_t count;
	unsigned nr = 0;
	ssize_t n = read(d->vcpu_fd[vcpu], &count, sizeof(count)); /* before upcall_pending: a later edge writes again */

	(void)n;
	exchange_acq_rel(&v_sh->evtchn_upcall_pending, 0);
	sel = exchange_acq_rel(&v_sh->evtchn_pending_sel, 0);
	for (; sel; sel &= sel - 1) {
		unsigned word = (unsigned)__builtin_ctzl(sel);

		bits = load_acquire(&sh->evtchn_pending[word]) & ~load_relaxed(&sh->evtchn_mask[word]);
		own = own_bits(d, vcpu, word, bits);
		if (own != bits)
			pass_on(d, vcpu, word, bits & ~own);
		for (; own; own &= own - 1) {
			bit = own & -own;
			if (nr == max) {
				/* No room: this word and the rest are marked again, and the fd with them. */
				fetch_or_acq_rel(&v_sh->evtchn_pending_sel, sel);
				exchange_acq_rel(&v_sh->evtchn_upcall_pending, 1);
				wake_vcpu(d, vcpu);
				return nr;
			}
			/* Acquire: pairs with evtchn_send. Somebody else may have taken it since we looked. */
			if (fetch_and_acq_rel(&sh->evtchn_pending[word], ~bit) & bit)
				ports[nr++] = word * WORD_BITS + (unsigned)__builtin_ctzl(bit);
		}
	}
	return nr;
}

bool evtchn_take_one(const struct evtchn_domain *d, evtchn_port_t port)
{
	if (port >= LOCAL_MAX_PORTS)
		return false;
	return fetch_and_acq_rel(&d->shared_sh->evtchn_pending[word_of(port)], ~bit_of(port)) & bit_of(port);
}

void evtchn_set_mask(const struct evtchn_domain *d, evtchn_port_t port)
{
	if (port < LOCAL_MAX_PORTS)
		fetch_or_acq_rel(&d->shared_sh->evtchn_mask[word_of(port)], bit_of(port));
}

void evtchn_clear_mask(const struct evtchn_domain *d, evtchn_port_t port)
{
	if (port >= LOCAL_MAX_PORTS)
		return;
	fetch_and_acq_rel(&d->shared_sh->evtchn_mask[word_of(port)], ~bit_of(port));
	full_fence(); /* pairs with evtchn_send's */
	if (evtchn_is_pending(d, port))
		evtchn_kick(d, port);
}

bool evtchn_is_pending(const struct evtchn_domain *d, evtchn_port_t port)
{
	if (port >= LOCAL_MAX_PORTS)
		return false;
	return load_acquire(&d->shared_sh->evtchn_pending[word_of(port)]) & bit_of(port);
}
