/*
 * tools/config_keys.h - which keys an xl.cfg file sets, and what becomes of those that Sluice does not act on.
 *
 * libxlutil answers questions about keys but does not list them, and xl passes over what it does not ask for. A misspelt
 * "memroy" deserves better.
 */
#ifndef SLUICE_TOOLS_CONFIG_KEYS_H
#define SLUICE_TOOLS_CONFIG_KEYS_H

#include <stddef.h>

enum config_key_kind {
	CONFIG_KEY_USED,    /* read by domain_config */
	CONFIG_KEY_REFUSED, /* would change what the domain is, and nobody here does it */
	CONFIG_KEY_UNKNOWN  /* worth a warning */
};

enum config_key_kind config_keys_kind(const char *key);
/*
 * The next key assigned in text, which libxlutil has accepted; moves *text on. NULL at the end.
 * Copied into key, cut off at bytes.
 */
const char *config_keys_next(const char **text, char *key, size_t bytes);

#endif
