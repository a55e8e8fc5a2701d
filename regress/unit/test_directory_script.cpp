// Random scripts: a directory, and programs that keep a list of its names by what they are told. Whatever the kernel
// leaves open (packets that are late, overflow, split renames, shortage, reads that end for no reason), and whoever is
// freed when, each list is right as soon as nothing is on its way.
#include "support/check.h"

#include <set>

#include "support/strict_locks.h"
#include "support/watching.h"

using namespace iocp;

namespace {

constexpr uint64_t seeds = 1500;
constexpr int steps = 120;
constexpr int watchers = 4;
constexpr int most_settling_turns = 3000;
constexpr size_t many_names = 1500; // more than a read takes

using names = std::set<std::string>;

struct mirror {
    watching how;
    names seen;
    bool frees_itself;
    bool alive;
};

struct event_base *base;
names truth;
mirror mirrors[watchers];

std::string some_name()
{
    return std::string(1, static_cast<char>('a' + fake::random() % 8));
}

std::wstring wide(const std::string &name)
{
    return std::wstring(name.begin(), name.end());
}

void note(mirror *self, const struct evdirchange &change)
{
    bool gone = change.action == EVDIRCHANGE_REMOVED || change.action == EVDIRCHANGE_RENAMED_OLD;
    if (gone)
        self->seen.erase(change.path);
    else
        self->seen.insert(change.path);
}

void let_go(mirror *self)
{
    if (!self->alive)
        return;
    evdirwatch_iocp_free(self->how.watch);
    self->how.over = true;
    self->alive = false;
}

void called(mirror *self)
{
    if (!self->how.told.empty() && self->how.told.back() == "overflow")
        self->seen = truth; // looks anew
    self->how.told.clear();
    if (self->frees_itself || self->how.over)
        let_go(self);
}

void begin(mirror *self)
{
    if (self->alive)
        return;
    *self = {};
    self->how.when_changed = [self](const struct evdirchange &change) { note(self, change); };
    self->how.when_called = [self]() { called(self); };
    self->frees_itself = fake::happens(100);
    self->alive = watch_directory(&self->how, base, "d", fake::happens(500) ? EVDIRWATCH_RECURSIVE : 0);
    self->seen = truth;
}

// One to three of them at once.
void something_changes()
{
    std::vector<fake::change> changes;
    for (uint64_t left = 1 + fake::random() % 3; left > 0; --left) {
        std::string name = some_name(), other = some_name();
        bool is_there = truth.count(name) != 0;
        if (!is_there) {
            truth.insert(name);
            changes.push_back({FILE_ACTION_ADDED, wide(name)});
        } else if (truth.count(other) == 0) {
            truth.erase(name);
            truth.insert(other);
            changes.push_back({FILE_ACTION_RENAMED_OLD_NAME, wide(name)});
            changes.push_back({FILE_ACTION_RENAMED_NEW_NAME, wide(other)});
        } else if (fake::happens(500)) {
            truth.erase(name);
            changes.push_back({FILE_ACTION_REMOVED, wide(name)});
        } else {
            changes.push_back({FILE_ACTION_MODIFIED, wide(name)});
        }
    }
    fake::change_directory(L"d", changes);
}

void too_much_changes()
{
    std::vector<fake::change> changes;
    for (size_t i = 0; i < many_names; ++i)
        changes.push_back({FILE_ACTION_MODIFIED, wide("x" + some_name())});
    std::string name = some_name();
    bool is_there = truth.erase(name) != 0;
    if (!is_there)
        truth.insert(name);
    changes.push_back({is_there ? DWORD{FILE_ACTION_REMOVED} : DWORD{FILE_ACTION_ADDED}, wide(name)});
    fake::change_directory(L"d", changes);
}

void step()
{
    mirror *one = &mirrors[fake::random() % watchers];
    switch (fake::random() % 16) {
    case 0:
    case 1:
        begin(one);
        break;
    case 2:
        if (fake::happens(300))
            let_go(one);
        break;
    case 3:
        if (fake::happens(100))
            too_much_changes();
        break;
    case 4:
        if (fake::happens(200))
            fake::end_starting_thread();
        break;
    case 5:
        if (fake::happens(100))
            fake::answer_read(L"d", fake::random_failure(), "");
        break;
    case 6:
    case 7:
    case 8:
        turn(base);
        break;
    case 9:
        fake::advance_us(static_cast<int64_t>(fake::random() % 20000));
        break;
    default:
        something_changes();
    }
}

bool all_are_right()
{
    for (mirror &one : mirrors) {
        names without_others;
        for (const std::string &name : one.seen)
            if (name.size() == 1)
                without_others.insert(name);
        if (one.alive && without_others != truth)
            return false;
    }
    return true;
}

bool is_settled()
{
    return all_are_right() && fake::packets_queued() == 0 &&
           event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) == 0;
}

void settle()
{
    int turns = 0;
    for (; turns < most_settling_turns && !is_settled(); ++turns) {
        fake::advance_us(1000);
        turn(base);
    }
    if (turns == most_settling_turns)
        fake::complain("a watch has missed something");
}

void run_script(uint64_t seed)
{
    fake::boot(seed, seed % 4 == 0 ? fake::no_chances : fake::all_chances);
    fake::split_renames(300);
    fake::make_directory(L"d");
    truth.clear();
    base = make_base(on_iocp);
    for (int i = 0; i < steps; ++i)
        step();
    settle();
    bool base_first = fake::happens(500);
    if (base_first)
        event_base_free(base);
    for (mirror &one : mirrors) {
        let_go(&one);
        one = {};
    }
    if (!base_first)
        event_base_free(base);
    const char *complaint = fake::complaint_after_free();
    if (complaint != nullptr)
        print_error("seed %llu: %s\n", static_cast<unsigned long long>(seed), complaint);
    assert_null(complaint);
}

void scripts(void **state)
{
    auto *only = static_cast<const uint64_t *>(*state);
    for (uint64_t seed = only != nullptr ? *only : 1; seed <= (only != nullptr ? *only : seeds); ++seed)
        run_script(seed);
}

} // namespace

// One seed, if it is given.
int main(int count, char **arguments)
{
    strict_locks_start();
    uint64_t only = count > 1 ? strtoull(arguments[1], nullptr, 10) : 0;
    catch_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(scripts, count > 1 ? &only : nullptr),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
