#include "support/bases.h"
#include "support/check.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

namespace iocp {

namespace {

std::vector<std::string> caught;
unsigned long current_thread = loop_thread;

void keep(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN)
        caught.push_back(text);
}

unsigned long thread_id()
{
    return current_thread;
}

void on_counted(evutil_socket_t, short what, void *argument)
{
    auto *counting = static_cast<counted *>(argument);
    ++counting->count;
    counting->what = what;
    counting->last_us = fake::now_us();
}

} // namespace

struct event_base *make_base(const base_options &options)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, options.flags);
    if (options.features != 0)
        event_config_require_features(config, options.features);
    if (options.avoid != nullptr)
        event_config_avoid_method(config, options.avoid);
    if (options.avoid_too != nullptr)
        event_config_avoid_method(config, options.avoid_too);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

bool is_on_port(const struct event_base *base)
{
    return std::string(event_base_get_method(base)) == "iocp";
}

int turn(struct event_base *base)
{
    return event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
}

void turn_to_port(struct event_base *base)
{
    uint64_t looks = fake::calls(fake::call::port_dequeue);
    bool owed = true;
    for (int tries = 0; tries < 20 && owed && looks == fake::calls(fake::call::port_dequeue); ++tries) {
        turn(base);
        owed = port_owes(backend_of(base)->port);
    }
}

void catch_log()
{
    event_set_log_callback(keep);
    caught.clear();
}

const std::vector<std::string> &warnings()
{
    return caught;
}

void forget_warnings()
{
    caught.clear();
}

int set_up_kernel(void **)
{
    fake::boot(1);
    catch_log();
    return 0;
}

int check_nothing_is_left()
{
    if (strict_locks_held() != 0)
        fake::complain("a lock is still held");
    const char *complaint = fake::complaint_after_free();
    if (complaint != nullptr)
        print_error("%s\n", complaint);
    return complaint == nullptr ? 0 : -1;
}

void use_fake_threads()
{
    evthread_set_id_callback(thread_id);
}

void become_thread(unsigned long id)
{
    current_thread = id;
}

struct counted *count_events(struct event_base *base, evutil_socket_t fd, short flags)
{
    auto *counting = new counted();
    counting->registered = event_new(base, fd, flags, on_counted, counting);
    return counting;
}

void free_counted(struct counted *counting)
{
    event_free(counting->registered);
    delete counting;
}

} // namespace iocp
