/* SPDX-License-Identifier: BSD-3-Clause */
/* src/topology/xmlfile.h: what is no whole file of ours is refused. */
#include "support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/machine.h"
#include "topology/source.h"
#include "topology/xmlfile.h"

struct file {
	char identity[NA_XMLFILE_IDENTITY];
	char *data;
	size_t size;
	size_t header;
};

static int make_file(void **state)
{
	static const char xml[] = "<topology>\n  <object type=\"Machine\"/>\n</topology>\n";
	struct na_xmlfile content = { .real = true, .xml = xml, .length = sizeof(xml) };
	struct file *f = calloc(1, sizeof(*f));
	char header[NA_XMLFILE_HEADER];

	na_xmlfile_identity(NULL, f->identity);
	f->header = na_xmlfile_encode(f->identity, &content, header);
	f->size = f->header + sizeof(xml) + strlen(na_xmlfile_trailer);
	f->data = malloc(f->size);
	memcpy(f->data, header, f->header);
	memcpy(f->data + f->header, xml, sizeof(xml));
	memcpy(f->data + f->header + sizeof(xml), na_xmlfile_trailer, strlen(na_xmlfile_trailer));
	*state = f;
	return 0;
}

static int free_file(void **state)
{
	struct file *f = *state;

	free(f->data);
	free(f);
	return 0;
}

/* Decodes a copy of exactly `size` bytes, so that a sanitizer sees a read past them. */
static int decode(const struct file *f, const char *data, size_t size)
{
	struct na_xmlfile out = { 0 };
	char *copy = malloc(size ? size : 1);
	int rc;

	memcpy(copy, data, size);
	rc = na_xmlfile_decode(f->identity, copy, size, &out);
	if (rc == 0)
		assert_true(out.xml >= copy && out.xml + out.length <= copy + size);
	else
		assert_null(out.xml);
	free(copy);
	return rc;
}

static void a_whole_file_is_read_back(void **state)
{
	const struct file *f = *state;
	struct na_xmlfile out;

	assert_int_equal(na_xmlfile_decode(f->identity, f->data, f->size, &out), 0);
	assert_true(out.real);
	assert_int_equal(out.length, strlen(out.xml) + 1);
	assert_memory_equal(out.xml, "<topology>", 10);
}

static void a_file_cut_at_any_byte_is_refused(void **state)
{
	const struct file *f = *state;

	for (size_t size = 0; size < f->size; size++)
		if (decode(f, f->data, size) != -EBADMSG)
			fail_msg("accepted %zu of %zu bytes", size, f->size);
	assert_int_equal(decode(f, f->data, f->size), 0);
}

static void a_file_with_more_behind_it_is_refused(void **state)
{
	struct file *f = *state;
	char *longer = calloc(1, f->size + 1);

	memcpy(longer, f->data, f->size);
	assert_int_equal(decode(f, longer, f->size + 1), -EBADMSG);
	free(longer);
}

static void a_file_with_any_byte_changed_is_refused(void **state)
{
	struct file *f = *state;

	for (size_t at = 0; at < f->size; at++) {
		int rc;

		/* "real 1" to "real 0" is a file of another meaning, not a damaged one. */
		if (f->data[at] == '1' && at >= 5 && memcmp(f->data + at - 5, "real ", 5) == 0)
			continue;
		f->data[at] ^= 0x10;
		rc = decode(f, f->data, f->size);
		f->data[at] ^= 0x10;
		if (rc != -EBADMSG && rc != -ESTALE)
			fail_msg("byte %zu: %d", at, rc);
	}
}

static void a_file_of_another_identity_is_stale(void **state)
{
	static const char *const lines[] = { "numarena-topology ", "boot ", "machine ", "user ", "hwloc " };
	struct file *f = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *line = strstr(f->data, lines[i]), *value;

		assert_non_null(line);
		value = line + strlen(lines[i]);
		*value ^= 1;
		assert_int_equal(decode(f, f->data, f->size), -ESTALE);
		*value ^= 1;
	}
}

static void the_identity_changes_with_the_machine_and_hwlocs_variables(void **state)
{
	static const struct test_node nodes[] = { { .cpus = 2, .megabytes = 64 },
						  { .os_index = 1, .first_cpu = 2, .cpus = 2, .megabytes = 64 } };
	static const char *const boots[] = { "boot-a\n", "boot-b\n", "boot-a\n" };
	struct test_machine m = { .nodes = nodes };
	char identity[5][NA_XMLFILE_IDENTITY], root[PATH_MAX];

	(void)state;
	for (int i = 0; i < 3; i++) {
		m.boot = boots[i];
		m.node_count = i == 2 ? 2 : 1;
		test_machine_make(&m, root);
		na_xmlfile_identity(root, identity[i]);
		if (i == 2) {
			setenv("HWLOC_SYNTHETIC", "pu:2", 1);
			na_xmlfile_identity(root, identity[3]);
			unsetenv("HWLOC_SYNTHETIC");
			na_xmlfile_identity(root, identity[4]);
		}
		test_folder_remove(root);
	}
	assert_string_not_equal(identity[0], identity[1]);
	assert_string_not_equal(identity[0], identity[2]);
	assert_string_not_equal(identity[2], identity[3]);
	assert_string_equal(identity[2], identity[4]);
	assert_non_null(strstr(identity[0], "boot boot-a\n"));
}

static void a_length_or_sum_of_nonsense_is_refused(void **state)
{
	static const char *const rests[] = {
		"real 1\nlength 0\nsum 0\n\n",
		"real 2\nlength 1\nsum 0\n\n",
		"real 1\nlength -1\nsum 0\n\n",
		"real 1\nlength 99999999999999999999999\nsum 0\n\n",
		"real 1\nlength 18446744073709551615\nsum 0\n\n",
		"real 1\nlength 1\nsum 00000000000000000000\n\n",
		"real 1\nlength \nsum 0\n\n",
		"length 1\nreal 1\nsum 0\n\n",
	};
	const struct file *f = *state;

	for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
		char text[NA_XMLFILE_HEADER + 64];
		int n = snprintf(text, sizeof(text), "%s%s%c", f->identity, rests[i], '\0'); /* XML: its NUL alone */

		memcpy(text + n, na_xmlfile_trailer, strlen(na_xmlfile_trailer));
		assert_int_equal(decode(f, text, (size_t)n + strlen(na_xmlfile_trailer)), -EBADMSG);
	}
}

static void xml_without_its_nul_is_refused(void **state)
{
	static const char xml[] = { '<', 't', '/', '>' };
	struct na_xmlfile content = { .real = true, .xml = xml, .length = sizeof(xml) };
	const struct file *f = *state;
	char text[NA_XMLFILE_HEADER + 64];
	size_t n = na_xmlfile_encode(f->identity, &content, text);

	memcpy(text + n, xml, sizeof(xml));
	memcpy(text + n + sizeof(xml), na_xmlfile_trailer, strlen(na_xmlfile_trailer));
	assert_int_equal(decode(f, text, n + sizeof(xml) + strlen(na_xmlfile_trailer)), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read_back),
		cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
		cmocka_unit_test(a_file_with_more_behind_it_is_refused),
		cmocka_unit_test(a_file_with_any_byte_changed_is_refused),
		cmocka_unit_test(a_file_of_another_identity_is_stale),
		cmocka_unit_test(the_identity_changes_with_the_machine_and_hwlocs_variables),
		cmocka_unit_test(a_length_or_sum_of_nonsense_is_refused),
		cmocka_unit_test(xml_without_its_nul_is_refused),
	};

	return cmocka_run_group_tests_name("topology/xmlfile", tests, make_file, free_file);
}
