/*
 * hv/loop.h - an event loop: fds, timers, signals; one thread. Control paths only.
 *
 * A callback may remove any source, its own too.
 */
#ifndef SLUICE_HV_LOOP_H
#define SLUICE_HV_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);
/* events: EPOLLIN, EPOLLOUT, ...; the fd stays the caller's. NULL: errno. */
struct loop_source *loop_add_fd(struct loop *loop, int fd, uint32_t events, void (*fn)(void *arg, uint32_t events), void *arg);
int loop_set_events(struct loop_source *source, uint32_t events);
/* Runs fn each period; first after one period. NULL: errno. */
struct loop_source *loop_add_timer(struct loop *loop, uint64_t period_ns, void (*fn)(void *arg), void *arg);
/* Blocks the signal and takes it from the loop instead. NULL: errno. */
struct loop_source *loop_add_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg);
/* Takes NULL. */
void loop_remove(struct loop_source *source);
/* Until loop_stop. 0 or -errno. */
int loop_run(struct loop *loop);
/* One round, waiting at most so long. */
int loop_run_once(struct loop *loop, int timeout_ms);
/* From any thread. */
void loop_stop(struct loop *loop);

#endif
