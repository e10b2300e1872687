// SPDX-License-Identifier: MIT
// A C++ program with N threads (first argument, default 50) that hand work to each other through a
// queue, and print a checksum that does not depend on the order: the same with and without Stele.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace
{

class queue
{
      public:
	void put(uint64_t item)
	{
		{
			std::lock_guard<std::mutex> hold(lock);
			items.push_back(item);
		}
		wake.notify_one();
	}

	void close()
	{
		{
			std::lock_guard<std::mutex> hold(lock);
			closed = true;
		}
		wake.notify_all();
	}

	bool take(uint64_t &item)
	{
		std::unique_lock<std::mutex> hold(lock);
		wake.wait(hold, [this] { return closed || !items.empty(); });
		if (items.empty())
			return false;
		item = items.front();
		items.pop_front();
		return true;
	}

      private:
	std::mutex lock;
	std::condition_variable wake;
	std::deque<uint64_t> items;
	bool closed = false;
};

uint64_t mix(uint64_t x)
{
	for (int i = 0; i < 200; i++) {
		x ^= x >> 33;
		x *= 0xff51afd7ed558ccdull;
	}
	return x;
}

} // namespace

int main(int argc, char **argv)
{
	const int count = argc > 1 ? static_cast<int>(std::strtol(argv[1], nullptr, 10)) : 50;
	std::atomic<uint64_t> sum{0}, started{0};
	std::vector<std::thread> workers;
	queue work;

	for (int i = 0; i < count; i++)
		workers.emplace_back([&] {
			uint64_t item;

			started++;
			while (work.take(item))
				sum += mix(item);
		});
	for (uint64_t i = 0; i < 20000; i++)
		work.put(i);
	work.close();
	for (std::thread &w : workers)
		w.join();
	std::printf("threads %llu sum %016llx\n", static_cast<unsigned long long>(started.load()),
		    static_cast<unsigned long long>(sum.load()));
	return 3;
}
