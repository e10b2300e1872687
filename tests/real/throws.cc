// SPDX-License-Identifier: MIT
// Exceptions through 30 frames with destructors, thrown again on the way, in two threads; prints a
// checksum that is the same each time.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace
{

constexpr int depth = 30;
constexpr int rounds = 500;

struct counted {
	explicit counted(uint64_t &to) : total(to), text(std::make_unique<std::string>(40, 'x'))
	{
	}
	~counted()
	{
		total = total * 31 + text->size();
	}
	uint64_t &total;
	std::unique_ptr<std::string> text;
};

[[gnu::noinline]] void descend(int left, uint64_t &total)
{
	counted here(total);

	if (left == 0)
		throw std::runtime_error("at the bottom of " + std::to_string(depth) + " frames");
	try {
		descend(left - 1, total);
	} catch (const std::runtime_error &e) {
		if (left % 10 == 0)
			std::throw_with_nested(std::logic_error(e.what()));
		throw;
	} catch (const std::logic_error &) {
		total++;
		throw;
	}
}

uint64_t run()
{
	uint64_t total = 1;

	for (int i = 0; i < rounds; i++) {
		try {
			descend(depth, total);
		} catch (const std::exception &e) {
			total ^= std::string(e.what()).size();
		}
	}
	return total;
}

} // namespace

int main()
{
	uint64_t first = 0, second = 0;
	std::thread other([&] { first = run(); });

	second = run();
	other.join();
	std::printf("%016llx %016llx\n", static_cast<unsigned long long>(first),
		    static_cast<unsigned long long>(second));
	return first == second ? 5 : 6;
}
