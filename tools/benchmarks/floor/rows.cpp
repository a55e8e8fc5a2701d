#include "tools/benchmarks/floor/port.h"

namespace bench {

const row rows[] = {
    {"pingpong", set_up_pingpong}, {"pipes", set_up_pipes},       {"bulk", set_up_bulk},
    {"churn", set_up_churn},       {"connects", set_up_connects}, {"plain", set_up_plain},
    {"wakeup", set_up_wakeup},     {"startup", set_up_startup},   {nullptr, nullptr},
};

const char *method(const scenario &)
{
    return "floor";
}

} // namespace bench
