/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/locations.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "os/os.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void na_sample_frame(uintptr_t frame, char *out, size_t capacity)
{
	Dl_info info;

	if (!frame || !dladdr((void *)(frame - 1), &info) || !info.dli_fname)
		na_format(out, capacity, "%p", (void *)frame);
	else if (info.dli_sname)
		na_format(out, capacity, "%s+0x%llx (%s)", info.dli_sname,
			  (unsigned long long)(frame - (uintptr_t)info.dli_saddr), base_name(info.dli_fname));
	else
		na_format(out, capacity, "%s+0x%llx", base_name(info.dli_fname),
			  (unsigned long long)(frame - (uintptr_t)info.dli_fbase));
}

/* ---- the addresses ---- */

static void sift(struct na_location *a, size_t i, size_t n)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		struct na_location swap = a[i];

		if (child + 1 < n && a[child + 1].at > a[child].at)
			child++;
		if (a[child].at <= a[i].at)
			return;
		a[i] = a[child];
		a[child] = swap;
	}
}

/* By heap sort, which needs no memory; then each once. */
static size_t sort(struct na_location *a, size_t n)
{
	size_t kept = 0;

	for (size_t i = n / 2; i-- > 0;)
		sift(a, i, n);
	for (size_t last = n; last-- > 1;) {
		struct na_location top = a[0];

		a[0] = a[last];
		a[last] = top;
		sift(a, 0, last);
	}
	for (size_t i = 0; i < n; i++)
		if (!kept || a[kept - 1].at != a[i].at)
			a[kept++] = a[i];
	return kept;
}

/* The first that is not below. */
static size_t lower_bound(const struct na_locations *l, uintptr_t at)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (l->all[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t na_locations_of(const struct na_locations *l, uintptr_t frame)
{
	return lower_bound(l, frame - 1);
}

/* ---- the objects ---- */

static void read_build_id(const struct dl_phdr_info *info, const ElfW(Phdr) * p, char *out)
{
	const char *at = (const char *)(info->dlpi_addr + p->p_vaddr), *end = at + p->p_memsz;

	while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *name = at + sizeof(*note);
		const unsigned char *id = (const unsigned char *)name + ((note->n_namesz + 3) & ~3u);

		at = (const char *)id + ((note->n_descsz + 3) & ~3u);
		if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 || memcmp(name, "GNU", 4) != 0 || at > end)
			continue;
		for (uint32_t i = 0; i < note->n_descsz && i < 32; i++)
			na_format(out + 2 * i, 3, "%x%x", id[i] >> 4, id[i] & 15);
		return;
	}
}

static int add_object(struct dl_phdr_info *info, size_t size, void *closure)
{
	struct na_locations *l = closure;
	struct na_object *o;
	char id[65] = "";

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_NOTE && !id[0])
			read_build_id(info, &info->dlpi_phdr[i], id);
	for (int i = 0; i < info->dlpi_phnum && l->object_count < NA_OBJECTS; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		ssize_t n = 0;

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		o = &l->objects[l->object_count++];
		o->from = info->dlpi_addr + p->p_vaddr;
		o->to = o->from + p->p_memsz;
		o->base = info->dlpi_addr;
		o->offset = p->p_offset;
		memcpy(o->build_id, id, sizeof(id));
		if (info->dlpi_name && info->dlpi_name[0])
			na_format(o->path, sizeof(o->path), "%s", info->dlpi_name);
		else if (l->object_count == 1 && (n = readlink("/proc/self/exe", o->path, sizeof(o->path) - 1)) > 0)
			o->path[n] = '\0';
		else
			memcpy(o->path, "[unknown]", sizeof("[unknown]"));
	}
	return 0;
}

static void assign_objects(struct na_locations *l)
{
	for (size_t k = 0; k < l->object_count; k++)
		for (size_t i = lower_bound(l, l->objects[k].from); i < l->count && l->all[i].at < l->objects[k].to;
		     i++)
			l->all[i].object = (uint32_t)k + 1;
}

/* ---- the names ---- */

/* Of functions of the file's table that hold addresses without a name. A file that does not fit in itself is left alone. */
static void take_names(struct na_locations *l, const struct na_object *o, const char *data, size_t size,
		       const ElfW(Shdr) * table, const ElfW(Shdr) * text)
{
	const ElfW(Sym) *symbols = (const void *)(data + table->sh_offset);

	if (table->sh_offset + table->sh_size > size || text->sh_offset + text->sh_size > size || text->sh_size == 0 ||
	    data[text->sh_offset + text->sh_size - 1])
		return;
	for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
		const ElfW(Sym) *s = &symbols[i];
		uintptr_t from = o->base + s->st_value;

		if ((s->st_info & 15) != STT_FUNC || s->st_shndx == SHN_UNDEF || !s->st_size ||
		    s->st_name >= text->sh_size)
			continue;
		for (size_t k = lower_bound(l, from); k < l->count && l->all[k].at < from + s->st_size; k++)
			if (!l->all[k].name)
				l->all[k].name = data + text->sh_offset + s->st_name;
	}
}

static void read_file(struct na_locations *l, const struct na_object *o, const char *data, size_t size)
{
	const ElfW(Ehdr) *head = (const void *)data;
	const ElfW(Shdr) * sections;

	if (size < sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || !head->e_shoff ||
	    head->e_shoff + (size_t)head->e_shnum * sizeof(*sections) > size)
		return;
	sections = (const void *)(data + head->e_shoff);
	for (size_t i = 0; i < head->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < head->e_shnum)
			take_names(l, o, data, size, &sections[i], &sections[sections[i].sh_link]);
}

static bool nameless(const struct na_locations *l, const struct na_object *o)
{
	for (size_t i = lower_bound(l, o->from); i < l->count && l->all[i].at < o->to; i++)
		if (!l->all[i].name)
			return true;
	return false;
}

static void open_file(struct na_locations *l, size_t k)
{
	int fd = open(l->objects[k].path, O_RDONLY | O_CLOEXEC);
	struct stat s;
	void *data;

	if (fd < 0)
		return;
	if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0) {
		data = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data != MAP_FAILED) {
			l->files[k].data = data;
			l->files[k].size = (size_t)s.st_size;
			read_file(l, &l->objects[k], data, (size_t)s.st_size);
		}
	}
	close(fd);
}

int na_locations_find(struct na_locations *l, const struct na_sample_site *sites, size_t n)
{
	size_t most = 0;
	void *memory;
	Dl_info info;
	int rc;

	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < n; i++)
		most += sites[i].depth;
	l->bytes =
		(most * sizeof(struct na_location) + NA_OBJECTS * sizeof(struct na_object) + NA_PAGE) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, l->bytes, &memory);
	if (rc < 0)
		return rc;
	l->all = memory;
	l->objects = (struct na_object *)(l->all + most);
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < sites[i].depth; k++)
			l->all[l->count++].at = sites[i].frames[k] - 1;
	l->count = sort(l->all, l->count);
	dl_iterate_phdr(add_object, l);
	assign_objects(l);
	for (size_t i = 0; i < l->count; i++)
		if (dladdr((void *)l->all[i].at, &info))
			l->all[i].name = info.dli_sname;
	for (size_t k = 0; k < l->object_count; k++)
		if (nameless(l, &l->objects[k]))
			open_file(l, k);
	return 0;
}

void na_locations_close(struct na_locations *l)
{
	for (size_t k = 0; k < l->object_count; k++)
		if (l->files[k].data)
			munmap(l->files[k].data, l->files[k].size);
	na_os.unmap(l->all, l->bytes);
}

void na_location_name(const struct na_locations *l, size_t i, char *out, size_t capacity)
{
	const struct na_location *at = &l->all[i];
	const struct na_object *o = at->object ? &l->objects[at->object - 1] : NULL;

	if (at->name)
		na_format(out, capacity, "%s", at->name);
	else if (o)
		na_format(out, capacity, "%s+0x%llx", base_name(o->path), (unsigned long long)(at->at - o->base));
	else
		na_format(out, capacity, "%p", (void *)at->at);
}
