/* SPDX-License-Identifier: MIT */
/** The version of the headers, and texts for error codes. */
#ifndef STELE_VERSION_H
#define STELE_VERSION_H

#define STELE_VERSION_MAJOR 0
#define STELE_VERSION_MINOR 1
#define STELE_VERSION_PATCH 0
#define STELE_VERSION	    "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The text for an error code returned by any function of Stele.
 *
 * @param error  a negative errno, or one of Stele's own codes (below -4095).
 * @return a static string, never NULL.
 *
 * Threads: any. Signals: not safe.
 */
const char *stele_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif
