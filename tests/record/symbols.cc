// SPDX-License-Identifier: MIT
// Templates, inlined calls and lambdas, to be recorded without its debugging information.
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

template <class T> struct shelf {
	std::vector<T> items;
	[[gnu::noinline]] void add(T item)
	{
		items.push_back(item);
	}
};

static std::mutex lock;

[[gnu::always_inline]] static inline void hold()
{
	std::lock_guard<std::mutex> guard(lock);
	struct timespec pause = {0, 2000000};

	nanosleep(&pause, nullptr);
}

int main()
{
	shelf<std::string> shelf;
	auto work = [] {
		for (int i = 0; i < 3; i++)
			hold();
	};
	std::thread first(work), second(work);

	for (int i = 0; i < 20; i++)
		shelf.add(std::string(50, 'x'));
	first.join();
	second.join();
	std::printf("%zu\n", shelf.items.size());
}
