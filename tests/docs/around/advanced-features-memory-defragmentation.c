/* SPDX-License-Identifier: BSD-3-Clause */
/* Started: blocks that lie scattered over half-empty chunks come together, and a line says so.
 * The threshold is 70%: a tenth of 40 MB lives. */
#include <numarena/numarena.h>
#include <string.h>

int main(void)
{
	static memory_handle_t handle[20000];
	defrag_stats_t stats;
	bool more = true;

	for (int i = 0; i < 20000; i++) {
		handle[i] = allocate_movable(2000);
		memset(pin_memory(handle[i]), 1, 2000);
		unpin_memory(handle[i]);
	}
	for (int i = 0; i < 20000; i++)
		if (i % 10)
			release_movable(handle[i]);
@BLOCK@
	while (more)
		if (run_defragmentation_slice(&more))
			return 1;
	if (get_defragmentation_statistics(&stats) || !stats.running || stats.won_bytes < (20 << 20))
		return 2;
	return stop_defragmentation() != MEMORY_ERROR_NONE;
}
