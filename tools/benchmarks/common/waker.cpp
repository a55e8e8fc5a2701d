#include "tools/benchmarks/common/waker.h"

namespace bench {

namespace {

DWORD WINAPI second_thread(void *context)
{
    static_cast<wakeable *>(context)->run_loop();
    fail("the second loop has ended", 0);
}

} // namespace

void wakeable::woken()
{
    if (counts && --left == 0)
        stop_loop();
    else
        partner->wake();
}

wakeup::wakeup(wakeable *first_loop, wakeable *second_loop) : first(first_loop)
{
    first_loop->partner = second_loop;
    second_loop->partner = first_loop;
    first_loop->counts = true;
    if (CreateThread(nullptr, 0, second_thread, second_loop, 0, nullptr) == nullptr)
        fail("no thread", static_cast<int>(GetLastError()));
}

void wakeup::run(long units)
{
    first->left = units;
    first->partner->wake();
    first->run_loop();
    if (first->left != 0)
        fail("the loop has ended early", 0);
}

} // namespace bench
