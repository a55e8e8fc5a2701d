#include "tools/benchmarks/libevent/base.h"

namespace bench {

const row rows[] = {
    {"pingpong", set_up_pingpong}, {"bulk", set_up_bulk},     {"churn", set_up_churn},   {"connects", set_up_connects},
    {"plain", set_up_plain},       {"timers", set_up_timers}, {"wakeup", set_up_wakeup}, {"startup", set_up_startup},
    {"waiting", set_up_waiting},   {nullptr, nullptr},
};

} // namespace bench
