// The kernel's door: the clock. (How fine its interrupt is, is asked for in sys_startup.cpp.)
#include "compat/sys.h"

#include <atomic>

namespace iocp {
namespace sys {

int64_t now_ns()
{
    // Kept for the next time. A static with an initializer would ask for the C++ runtime, which C programs lack.
    static std::atomic<int64_t> frequency;
    constexpr int64_t second = 1000 * 1000 * 1000;
    constexpr int64_t usual_frequency = 10 * 1000 * 1000;
    LARGE_INTEGER count;
    int64_t each_second = frequency.load(std::memory_order_relaxed);
    if (each_second == 0) {
        QueryPerformanceFrequency(&count);
        each_second = count.QuadPart;
        frequency.store(each_second, std::memory_order_relaxed);
    }
    QueryPerformanceCounter(&count);
    if (each_second == usual_frequency) // without a division
        return count.QuadPart * (second / usual_frequency);
    return count.QuadPart / each_second * second + count.QuadPart % each_second * second / each_second;
}

} // namespace sys
} // namespace iocp
