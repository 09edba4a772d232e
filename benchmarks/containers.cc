/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C++ containers: what a program of the standard library asks of operator new. A tree map with string values, a hash map of
 * vectors, a list used as a queue, a vector of vectors, and strings that are built by appending; each is filled, partly erased at
 * random, and destroyed. Sized delete is what g++ calls here.
 */
#include "bench.h"

#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

void tree(bench_thread *me, long count)
{
	std::map<uint64_t, std::string> map;

	for (long i = 0; i < count; i++) {
		uint64_t key = bench_random(me) % (uint64_t)count;

		map[key] = std::string(8 + key % 56, 'a');
		if (i % 3 == 0)
			map.erase(map.lower_bound(bench_random(me) % (key + 1)));
	}
	for (const auto &entry : map) {
		me->errors += entry.second.size() != 8 + entry.first % 56;
		me->checksum += entry.first;
	}
	me->operations += (uint64_t)count * 2;
}

void hash(bench_thread *me, long count)
{
	std::unordered_map<uint64_t, std::vector<int>> map;

	for (long i = 0; i < count; i++) {
		uint64_t key = bench_random(me) % (uint64_t)(count / 8 + 1);

		map[key].push_back((int)key);
		if (i % 16 == 0)
			map.erase(bench_random(me) % (uint64_t)(count / 8 + 1));
	}
	uint64_t sum = 0;
	for (const auto &entry : map)
		for (int value : entry.second) {
			me->errors += value != (int)entry.first;
			sum += (uint64_t)value;
		}
	me->checksum += sum;
	me->operations += (uint64_t)count;
}

void queue(bench_thread *me, long count)
{
	std::list<uint64_t> list;

	for (long i = 0; i < count; i++) {
		list.push_back((uint64_t)i);
		if (list.size() > 1000) {
			me->checksum += list.front();
			list.pop_front();
		}
	}
	me->operations += (uint64_t)count;
}

void nested(bench_thread *me, long count)
{
	std::vector<std::vector<double>> rows((size_t)count / 16 + 1);

	for (long i = 0; i < count; i++)
		rows[bench_below(me, rows.size())].push_back((double)i);
	double sum = 0;
	for (const auto &row : rows)
		for (double value : row)
			sum += value;
	me->errors += sum != (double)count * (double)(count - 1) / 2;
	me->operations += (uint64_t)count / 4;
}

void text(bench_thread *me, long count)
{
	size_t length = 0;

	for (long i = 0; i < count / 8; i++) {
		std::string line = "step " + std::to_string(i);

		for (int word = 0; word < 4; word++)
			line += ", value " + std::to_string(i * 1000 + word);
		length += line.size();
	}
	me->checksum += length;
	me->operations += (uint64_t)count;
}

void work(bench_thread *me)
{
	for (long round = 0; round < bench_scaled(32, 1); round++) {
		long count = bench.scale < 0.02 ? 2000 : 20000;

		tree(me, count);
		hash(me, 2 * count);
		queue(me, 4 * count);
		nested(me, 4 * count);
		text(me, 2 * count);
	}
}

} // namespace

int main(int argc, char **argv)
{
	bench_pattern pattern = {};

	pattern.name = "containers";
	pattern.about = "C++ containers: maps, hash maps, lists, vectors of vectors, strings.";
	pattern.work = work;
	return bench_main(argc, argv, &pattern);
}
