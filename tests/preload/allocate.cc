// SPDX-License-Identifier: MIT
// C++'s ways to allocate: operators of all kinds, containers, exceptions through many frames.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct alignas(128) Wide {
	char bytes[300];
};

template <typename T> static T *kept(T *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static int deep(int frames)
{
	std::string local(100 + frames, 'x');

	if (frames == 0)
		throw std::runtime_error(local + " thrown");
	return deep(frames - 1) + static_cast<int>(local.size());
}

static void operators()
{
	delete kept(new int(1));
	delete[] kept(new char[100]);
	delete kept(new Wide);
	delete[] kept(new Wide[3]);
	delete kept(new (std::nothrow) int(2));
	delete[] kept(new (std::nothrow) Wide[2]);
	::operator delete (kept(static_cast<char *>(::operator new(10))), std::size_t{10});
}

// The exception object is allocated inside of operator new.
static void too_much()
{
	volatile std::size_t size = std::size_t{1} << 60;

	try {
		delete[] kept(new char[size]);
	} catch (const std::bad_alloc &) {
		std::puts("too much");
	}
}

int main(int argc, char **)
{
	std::map<int, std::string> map;
	std::vector<std::thread> threads;
	int caught = 0;

	for (int i = 0; i < 1000; i++)
		map[i] = std::string(50 + i % 100, 'a');
	for (int i = 0; i < 100; i++) {
		try {
			deep(30);
		} catch (const std::exception &) {
			caught++;
		}
	}
	for (int i = 0; i < 4; i++)
		threads.emplace_back([] {
			for (int j = 0; j < 2000; j++)
				operators();
		});
	for (auto &thread : threads)
		thread.join();
	if (argc == 1)
		too_much();
	std::printf("%d %zu\n", caught, map.size());
}
