// The readiness machine of one socket, walked through all its states: a breadth-first search that tries every action in
// every state that it reaches, each time from a new base. A state is what the future depends on (world_signature), so
// that nothing is walked twice. States with many packets are left out (max_packets_held): what they add is more of the
// same packets.
#include "support/check.h"

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "support/one_socket.h"

using namespace iocp;

namespace {

constexpr size_t max_packets_held = 2;
size_t max_depth = 7; // as many steps as a run of a few seconds allows; argv[1] asks for more

using path = std::vector<action>;

struct search {
    world_options options;
    std::set<std::string> known;
    std::deque<path> to_expand;
    size_t steps;
    size_t deepest;
};

std::string text_of(const path &taken)
{
    std::string text;
    for (action step : taken)
        text += std::string(" ") + action_name(step);
    return text;
}

// Runs a path whose last step is new. True if that step made sense.
bool run(search *self, const path &taken, std::string *signature)
{
    world here;
    world_open(&here, self->options);
    bool acted = true;
    for (size_t i = 0; i < taken.size(); ++i) {
        acted = world_act(&here, taken[i]);
        if (acted)
            world_check(&here);
    }
    bool follow = acted && fake::packets_queued() <= max_packets_held;
    if (follow) {
        *signature = world_signature(&here);
        if (self->known.count(*signature) == 0)
            world_settle(&here);
        else
            follow = false;
    }
    world_close(&here);
    if (!here.broken.empty())
        fail_msg("%s, after:%s", here.broken.c_str(), text_of(taken).c_str());
    return follow;
}

void walk(const world_options &options)
{
    search self = {options, {}, {}, 0, 0};
    self.to_expand.push_back({});
    while (!self.to_expand.empty()) {
        path taken = self.to_expand.front();
        self.to_expand.pop_front();
        if (taken.size() >= max_depth)
            continue;
        for (size_t next = 0; next < static_cast<size_t>(action::count); ++next) {
            path longer = taken;
            longer.push_back(static_cast<action>(next));
            std::string signature;
            ++self.steps;
            if (!run(&self, longer, &signature) || !self.known.insert(signature).second)
                continue;
            self.deepest = longer.size();
            self.to_expand.push_back(longer);
        }
    }
    print_message("%u states, %u steps tried, %u deep\n", static_cast<unsigned>(self.known.size()),
                  static_cast<unsigned>(self.steps), static_cast<unsigned>(self.deepest));
    assert_true(self.known.size() > 1000);
}

void all_states_and_actions(void **)
{
    walk({false, false, false, false});
}

void everything_the_other_way(void **)
{
    walk({false, true, true, true});
}

void under_a_layered_provider(void **)
{
    walk({true, false, true, false});
}

void say_nothing(int, const char *)
{
}

} // namespace

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_states_and_actions),
        cmocka_unit_test(everything_the_other_way),
        cmocka_unit_test(under_a_layered_provider),
    };
    if (argc > 1)
        max_depth = static_cast<size_t>(atoi(argv[1]));
    event_set_log_callback(say_nothing);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
