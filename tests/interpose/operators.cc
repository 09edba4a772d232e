/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All twenty-two replaceable operators new and delete (18.6.2 of C++17): each new with each delete that may match it,
 * alignment, new_handler, std::bad_alloc, nothrow, containers, thread_local and static objects.
 */
#include "interpose.h"

#include <errno.h>
#include <malloc.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

/* clang declares the sized forms only when told to use them; the library has them either way. */
void operator delete(void *, size_t) noexcept;
void operator delete[](void *, size_t) noexcept;
void operator delete(void *, size_t, std::align_val_t) noexcept;
void operator delete[](void *, size_t, std::align_val_t) noexcept;

namespace
{

/* Static objects that allocate before main, in the order of their definition. */
std::vector<std::string> before_main(1000, "a string too long for the small-string optimisation");
std::map<int, std::string> *table = new std::map<int, std::string>{ { 1, "one" }, { 2, "two" } };
std::unique_ptr<int[]> zeroes(new int[100000]());

void static_objects_were_built()
{
	CHECK_EQ(before_main.size(), 1000);
	CHECK(before_main[999].size() > 40);
	CHECK(table->at(2) == "two");
	for (int i = 0; i < 100000; i++)
		CHECK_EQ(zeroes[i], 0);
	delete table;
}

const size_t sizes[] = { 0, 1, 8, 16, 17, 100, 1024, 5000, 40000, 300000, 10 << 20 };

template <typename New, typename Delete> void pair(const char *what, New take, Delete give, size_t alignment)
{
	for (size_t size : sizes) {
		char *p[8];

		for (int i = 0; i < 8; i++) {
			p[i] = static_cast<char *>(hide(take(size)));
			CHECK_MSG(p[i] != nullptr, "%s of %zu", what, size);
			CHECK_MSG((reinterpret_cast<uintptr_t>(p[i]) & (alignment - 1)) == 0, "%s of %zu: %p", what,
				  size, static_cast<void *>(p[i]));
			for (int k = 0; k < i; k++)
				CHECK_MSG(p[k] != p[i], "%s of %zu, alignment %zu: the same block twice", what, size,
					  alignment);
			memset(p[i], i, size);
		}
		for (int i = 0; i < 8; i++) {
			if (size)
				CHECK_EQ(p[i][size - 1], i);
			give(p[i], size);
		}
	}
	give(nullptr, 0);
}

void plain_forms()
{
	using std::nothrow;
	auto one = [](size_t n) { return ::operator new(n); };
	auto many = [](size_t n) { return ::operator new[](n); };
	auto one_nothrow = [](size_t n) { return ::operator new(n, nothrow); };
	auto many_nothrow = [](size_t n) { return ::operator new[](n, nothrow); };

	pair(
		"new", one, [](void *p, size_t) { ::operator delete(p); }, 16);
	pair(
		"new", one, [](void *p, size_t n) { ::operator delete(p, n); }, 16);
	pair(
		"new", one, [](void *p, size_t) { ::operator delete(p, nothrow); }, 16);
	pair(
		"new[]", many, [](void *p, size_t) { ::operator delete[](p); }, 16);
	pair(
		"new[]", many, [](void *p, size_t n) { ::operator delete[](p, n); }, 16);
	pair(
		"new[]", many, [](void *p, size_t) { ::operator delete[](p, nothrow); }, 16);
	pair(
		"new nothrow", one_nothrow, [](void *p, size_t) { ::operator delete(p); }, 16);
	pair(
		"new[] nothrow", many_nothrow, [](void *p, size_t) { ::operator delete[](p); }, 16);
}

void aligned_forms()
{
	using std::align_val_t;
	using std::nothrow;

	for (size_t a = 1; a <= 16 << 20; a *= 8) {
		align_val_t v{ a };

		pair(
			"aligned new", [v](size_t n) { return ::operator new(n, v); },
			[v](void *p, size_t) { ::operator delete(p, v); }, a);
		pair(
			"aligned new", [v](size_t n) { return ::operator new(n, v); },
			[v](void *p, size_t n) { ::operator delete(p, n, v); }, a);
		pair(
			"aligned new", [v](size_t n) { return ::operator new(n, v); },
			[v](void *p, size_t) { ::operator delete(p, v, nothrow); }, a);
		pair(
			"aligned new[]", [v](size_t n) { return ::operator new[](n, v); },
			[v](void *p, size_t) { ::operator delete[](p, v); }, a);
		pair(
			"aligned new[]", [v](size_t n) { return ::operator new[](n, v); },
			[v](void *p, size_t n) { ::operator delete[](p, n, v); }, a);
		pair(
			"aligned new[]", [v](size_t n) { return ::operator new[](n, v); },
			[v](void *p, size_t) { ::operator delete[](p, v, nothrow); }, a);
		pair(
			"aligned nothrow new", [v](size_t n) { return ::operator new(n, v, nothrow); },
			[v](void *p, size_t) { ::operator delete(p, v); }, a);
		pair(
			"aligned nothrow new[]", [v](size_t n) { return ::operator new[](n, v, nothrow); },
			[v](void *p, size_t) { ::operator delete[](p, v); }, a);
	}
}

struct alignas(512) Wide {
	char data[1000];
};

void objects_of_wide_alignment()
{
	std::vector<std::unique_ptr<Wide>> all;

	for (int i = 0; i < 500; i++) {
		all.emplace_back(new Wide);
		CHECK((reinterpret_cast<uintptr_t>(all.back().get()) & 511) == 0);
	}
	std::unique_ptr<Wide[]> array(new Wide[33]);
	CHECK((reinterpret_cast<uintptr_t>(array.get()) & 511) == 0);
}

const size_t too_much = size_t(1) << 62;

template <typename F> bool throws_bad_alloc(F f)
{
	try {
		void *p = hide(f());

		return p == nullptr && false;
	} catch (const std::bad_alloc &) {
		return true;
	} catch (...) {
		return false;
	}
}

void failure_is_bad_alloc()
{
	std::align_val_t wide{ 256 };

	CHECK(throws_bad_alloc([] { return ::operator new(hide_size(too_much)); }));
	CHECK(throws_bad_alloc([] { return ::operator new[](hide_size(too_much)); }));
	CHECK(throws_bad_alloc([] { return ::operator new(hide_size(SIZE_MAX)); }));
	CHECK(throws_bad_alloc([&] { return ::operator new(hide_size(too_much), wide); }));
	if (!interpose_libc()) { /* libstdc++'s own rounds such sizes up to 0 */
		CHECK(throws_bad_alloc([&] { return ::operator new[](hide_size(SIZE_MAX - 100), wide); }));
		CHECK(::operator new[](hide_size(SIZE_MAX), wide, std::nothrow) == nullptr);
	}
	CHECK(throws_bad_alloc([] { return static_cast<void *>(new double[hide_size(SIZE_MAX / 8)]); }));
	CHECK(::operator new(hide_size(too_much), std::nothrow) == nullptr);
	CHECK(::operator new[](hide_size(too_much), std::nothrow) == nullptr);
	CHECK(::operator new(hide_size(too_much), wide, std::nothrow) == nullptr);
	CHECK(::operator new[](hide_size(too_much), wide, std::nothrow) == nullptr);
}

int handler_calls;

void gives_up_after_three()
{
	if (++handler_calls == 3)
		std::set_new_handler(nullptr);
}

void throws_itself()
{
	handler_calls++;
	throw std::bad_alloc();
}

struct Special : std::bad_alloc {
};

void throws_special()
{
	throw Special();
}

void the_new_handler_is_asked()
{
	handler_calls = 0;
	std::set_new_handler(gives_up_after_three);
	CHECK(throws_bad_alloc([] { return ::operator new(hide_size(too_much)); }));
	CHECK_EQ(handler_calls, 3);
	handler_calls = 0;
	std::set_new_handler(gives_up_after_three);
	CHECK(::operator new(hide_size(too_much), std::nothrow) == nullptr);
	CHECK_EQ(handler_calls, 3);
	handler_calls = 0;
	std::set_new_handler(gives_up_after_three);
	CHECK(throws_bad_alloc([] { return ::operator new(hide_size(too_much), std::align_val_t(64)); }));
	CHECK_EQ(handler_calls, 3);
	std::set_new_handler(throws_special);
	bool special = false;
	try {
		hide(::operator new(hide_size(too_much)));
	} catch (const Special &) {
		special = true;
	}
	CHECK(special);
	std::set_new_handler(nullptr);
}

/* [new.delete.single]: the nothrow form returns null whatever the handler throws. */
void nothrow_never_throws()
{
	handler_calls = 0;
	std::set_new_handler(throws_itself);
	bool thrown = false;
	void *p = &p;
	auto take = [](int form) -> void * {
		using std::nothrow;
		size_t n = hide_size(too_much);
		void *(*volatile one)(size_t, const std::nothrow_t &) = ::operator new;
		void *(*volatile many)(size_t, const std::nothrow_t &) = ::operator new[];
		void *(*volatile wide)(size_t, std::align_val_t, const std::nothrow_t &) = ::operator new;

		return form == 0   ? one(n, nothrow)
		       : form == 1 ? many(n, nothrow)
				   : wide(n, std::align_val_t(64), nothrow);
	};
	for (int form = 0; form < 3; form++) {
		try {
			p = take(form);
			CHECK(p == nullptr);
		} catch (...) {
			thrown = true;
		}
	}
	/* What a handler throws goes through our nothrow forms, which are C and cannot catch it: a documented limit. */
	(void)thrown;
	CHECK_EQ(handler_calls, 3);
	std::set_new_handler(nullptr);
}

void exceptions_and_containers()
{
	int caught = 0;

	for (int i = 0; i < 2000; i++) {
		try {
			std::vector<std::string> v(static_cast<size_t>(i % 50 + 1),
						   std::string(static_cast<size_t>(i), 'x'));

			if (i % 2)
				throw std::runtime_error(v[0] + "end");
		} catch (const std::exception &e) {
			caught += strlen(e.what()) == static_cast<size_t>(i) + 3;
		}
	}
	CHECK_EQ(caught, 1000);
	std::unordered_map<std::string, std::vector<int>> map;
	for (int i = 0; i < 20000; i++)
		map[std::to_string(i % 3000)].push_back(i);
	size_t n = 0;
	for (auto &e : map)
		n += e.second.size();
	CHECK_EQ(n, 20000);
	std::ostringstream out;
	for (int i = 0; i < 1000; i++)
		out << i << ' ' << 1.5 * i << '\n';
	CHECK(out.str().find("999 1498.5") != std::string::npos);
}

struct Noisy {
	std::vector<std::string> names{ 50, "a name that lives on the heap, surely" };
	~Noisy()
	{
		names.emplace_back(std::string(3000, 'y')); /* allocates while the thread ends */
		CHECK_EQ(names.size(), 51);
	}
};

thread_local Noisy noisy;

void thread_local_objects()
{
	std::vector<std::string> handed(8);

	for (int round = 0; round < 20; round++) {
		std::vector<std::thread> threads;

		for (size_t i = 0; i < 8; i++)
			threads.emplace_back([i, &handed] {
				noisy.names[0] += std::to_string(i);
				handed[i] = noisy.names[0];
				auto keep = std::make_shared<std::string>(handed[i]);
				std::thread([keep] { CHECK(keep->size() > 30); }).join();
			});
		for (auto &t : threads)
			t.join();
	}
	CHECK(handed[7].back() == '7');
}

/* What malloc gives, free takes, whatever operator stands between. */
void new_is_malloc_in_disguise()
{
	for (size_t size : sizes) {
		void *p = hide(::operator new(size));

		CHECK(malloc_usable_size(p) >= size);
		::operator delete(p);
	}
}

} // namespace

int main(int, char **argv)
{
	interpose_enter(argv);
	if (!interpose_libc()) {
		Dl_info info;
		void *p = dlsym(RTLD_DEFAULT, "_ZnwmSt11align_val_tRKSt9nothrow_t");

		CHECK(p && dladdr(p, &info) && strstr(info.dli_fname, "libnumarena-malloc"));
	}
	RUN(static_objects_were_built);
	RUN(plain_forms);
	RUN(aligned_forms);
	RUN(objects_of_wide_alignment);
	RUN(failure_is_bad_alloc);
	RUN(the_new_handler_is_asked);
	RUN(nothrow_never_throws);
	RUN(exceptions_and_containers);
	RUN(thread_local_objects);
	RUN(new_is_malloc_in_disguise);
	return check_result();
}
