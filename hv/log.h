/*
 * hv/log.h - one line to standard error (and to the core's own log): "program: sentence".
 *
 * Control paths only: the hot path counts, it does not log.
 */
#ifndef SLUICE_HV_LOG_H
#define SLUICE_HV_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program: a literal. Lines above the level are dropped. $SLUICE_LOG=debug raises it. */
void log_init(const char *program, enum log_level level);
/* Every line also goes here (sluiced keeps them for `sluice dmesg`); NULL: nowhere else. */
void log_set_sink(void (*sink)(void *arg, const char *line), void *arg);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
