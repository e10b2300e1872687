// SPDX-License-Identifier: MIT
// The switch of Boost.Context, as bench_fiber measures ours: in ns, the lowest layer and the fiber.
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fiber.hpp>
#include <cstdio>
#include <vector>

#include "timer.h"

static const unsigned switches = 10000000;

static void back(boost::context::detail::transfer_t t)
{
	for (;;)
		t = boost::context::detail::jump_fcontext(t.fctx, nullptr);
}

int main()
{
	std::vector<char> stack(64 << 10);
	auto there = boost::context::detail::make_fcontext(stack.data() + stack.size(),
							   stack.size(), back);

	there = boost::context::detail::jump_fcontext(there, nullptr).fctx;
	uint64_t begin = bench_now_ns();
	for (unsigned i = 0; i < switches; i++)
		there = boost::context::detail::jump_fcontext(there, nullptr).fctx;
	bench_print("boost_jump", (double)(bench_now_ns() - begin) / switches / 2);

	boost::context::fiber fiber([](boost::context::fiber &&main) {
		for (;;)
			main = std::move(main).resume();
		return std::move(main);
	});
	fiber = std::move(fiber).resume();
	begin = bench_now_ns();
	for (unsigned i = 0; i < switches; i++)
		fiber = std::move(fiber).resume();
	bench_print("boost_fiber", (double)(bench_now_ns() - begin) / switches / 2);
}
