/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page faults that this process answers itself (userfaultfd), for the table in os.h.
 *
 * Only in full: faults in system calls are told of as well, so that read(2) into such memory, or another process's copy, waits as a load does. That
 * takes root, vm.unprivileged_userfaultfd=1, or a /dev/userfaultfd that may be opened; containers often forbid it.
 */
#ifndef NA_OS_FAULT_H
#define NA_OS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct na_faults {
	int fd;	  /* userfaultfd */
	int stop; /* eventfd: ends na_os.fault_read() */
};

struct na_fault {
	uintptr_t at;
	bool protected; /* a write to a page that is write-protected, which is there; else the page is not */
};

int na_fault_descriptor(void); /* a userfaultfd that is not set up yet, or -errno */
int na_fault_open(struct na_faults *out);
void na_fault_close(struct na_faults *faults);
int na_fault_watch(const struct na_faults *faults, void *at, size_t size);
int na_fault_unwatch(const struct na_faults *faults, void *at, size_t size);
int na_fault_protect(const struct na_faults *faults, void *at, size_t size, bool on);
int na_fault_copy(const struct na_faults *faults, void *to, const void *from, size_t size);
int na_fault_zero(const struct na_faults *faults, void *at, size_t size);
int na_fault_wake(const struct na_faults *faults, void *at, size_t size);
int na_fault_read(const struct na_faults *faults, struct na_fault *out, size_t capacity);
int na_fault_stop(const struct na_faults *faults);

#endif
