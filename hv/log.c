/*
 * hv/log.c - one line to standard error, and to whoever listens.
 *
 * Runs in  any thread; a line is one write, so that lines of several threads do not mix.
 */
#include "hv/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *log_program = "sluice";
static enum log_level log_threshold = LOG_LEVEL_INFO;
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*log_sink)(void *arg, const char *line);
static void *log_sink_arg;

void log_init(const char *program, enum log_level level)
{
	const char *wish = getenv("SLUICE_LOG");

	log_program = program;
	log_threshold = level;
	if (wish && !strcmp(wish, "debug"))
		log_threshold = LOG_LEVEL_DEBUG;
	if (wish && !strcmp(wish, "error"))
		log_threshold = LOG_LEVEL_ERROR;
}

void log_set_sink(void (*sink)(void *arg, const char *line), void *arg)
{
	pthread_mutex_lock(&sink_lock);
	log_sink = sink;
	log_sink_arg = arg;
	pthread_mutex_unlock(&sink_lock);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int at, n;

	if (level > log_threshold)
		return;
	at = snprintf(line, sizeof(line), "%s: ", log_program);
	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = (int)strlen(line);
	while (n > at && line[n - 1] == '\n')
		n--;
	line[n] = '\0';

	pthread_mutex_lock(&sink_lock);
	if (log_sink)
		log_sink(log_sink_arg, line);
	pthread_mutex_unlock(&sink_lock);

	line[n] = '\n';
	/* Nobody can be told that standard error is gone. */
	if (write(STDERR_FILENO, line, n + 1) < 0)
		return;
}
