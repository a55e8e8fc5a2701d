#include "tools/benchmarks/native/load.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

namespace native {

namespace {

constexpr uint64_t second = 1000000000;
// A server that answers nobody for so long has stopped.
constexpr uint64_t stall_ns = 20 * second;
// So many connections are on their way at a time: a listener's queue has room for no more, and a connect that finds it
// full is tried again a second later.
constexpr size_t opening_at_a_time = 32;
constexpr int events_at_a_time = 256;

std::unique_ptr<exchange> make_exchange(const plan &wanted, int connection)
{
    if (wanted.spoken == plan::protocol::echo)
        return make_echo(wanted.size, static_cast<unsigned>(connection));
    return make_http(wanted.size);
}

} // namespace

load::load(const plan &wanted)
{
    poll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_event watched = {};
    watched.events = EPOLLIN;
    if (poll < 0 || timer < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, timer, &watched) != 0)
        fail("epoll: %s", strerror(errno));
    if (wanted.spoken == plan::protocol::https) {
        // The server has made its certificate itself, a moment ago; OpenSSL's default is to check none.
        tls = SSL_CTX_new(TLS_client_method());
        if (tls == nullptr)
            fail("no TLS");
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    open_connections(wanted);
}

load::~load()
{
    connections.clear();
    SSL_CTX_free(tls);
    close(timer);
    close(poll);
}

// A connection is open when it has had an answer: until then the server may not have taken it.
void load::open_connections(const plan &wanted)
{
    last_progress = now_ns();
    auto count = static_cast<size_t>(wanted.connections);
    size_t answered = 0;
    while (answered < count) {
        while (connections.size() < count && connections.size() - answered < opening_at_a_time)
            connections.push_back(std::make_unique<connection>(
                poll, wanted.port, tls, make_exchange(wanted, static_cast<int>(connections.size()))));
        turn(
            [&](connection &ready) {
                if (ready.idle_since() == 0)
                    ready.ask(now_ns());
                else
                    ++answered;
            },
            true);
    }
}

void load::turn(const callback &on_ready, bool wait)
{
    epoll_event events[events_at_a_time];
    int count = epoll_wait(poll, events, events_at_a_time, wait ? 1000 : 0);
    if (count < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    bool progress = false;
    for (int i = 0; i < count; ++i) {
        auto *told = static_cast<connection *>(events[i].data.ptr);
        if (told == nullptr) {
            uint64_t expirations;
            progress = read(timer, &expirations, sizeof(expirations)) > 0 || progress;
        } else if (told->proceed()) {
            last_progress = now_ns();
            on_ready(*told);
        }
    }
    if (wait && !progress && now_ns() - last_progress > stall_ns)
        fail("no answer for %d seconds", static_cast<int>(stall_ns / second));
}

outcome load::closed(const std::function<bool()> &may_ask)
{
    outcome found;
    uint64_t asked = 0, begin = now_ns();
    last_progress = begin;
    for (auto &each : connections) {
        if (!may_ask())
            break;
        ++asked;
        each->ask(now_ns());
    }
    auto on_answer = [&](connection &answered) {
        uint64_t now = answered.idle_since();
        found.latency.add(now - answered.due());
        ++found.answers;
        if (may_ask()) {
            ++asked;
            answered.ask(now);
        }
    };
    while (found.answers < asked)
        turn(on_answer, true);
    found.ns = now_ns() - begin;
    return found;
}

outcome load::closed_count(uint64_t requests)
{
    uint64_t asked = 0;
    return closed([&] { return asked++ < requests; });
}

outcome load::closed_for(uint64_t ns)
{
    uint64_t end = now_ns() + ns;
    bool first = true; // at the least one request
    return closed([&] {
        bool may = first || now_ns() < end;
        first = false;
        return may;
    });
}

void load::wake_at(uint64_t when)
{
    itimerspec wanted = {};
    wanted.it_value.tv_sec = static_cast<time_t>(when / second);
    wanted.it_value.tv_nsec = static_cast<long>(when % second);
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &wanted, nullptr) != 0)
        fail("timerfd_settime: %s", strerror(errno));
}

outcome load::open(double per_second, uint64_t requests)
{
    outcome found;
    std::deque<connection *> idle; // in turn, so that all carry traffic
    for (auto &each : connections)
        idle.push_back(each.get());
    uint64_t begin = now_ns(), sent = 0;
    last_progress = begin;
    auto due = [&](uint64_t number) {
        return begin + static_cast<uint64_t>(static_cast<double>(number) * static_cast<double>(second) / per_second);
    };
    auto on_answer = [&](connection &answered) {
        found.latency.add(answered.idle_since() - answered.due());
        ++found.answers;
        idle.push_back(&answered);
    };
    uint64_t due_until_now = 0;
    while (found.answers < requests) {
        uint64_t now = now_ns();
        while (due_until_now < requests && due(due_until_now) <= now)
            ++due_until_now;
        for (; sent < due_until_now && !idle.empty(); ++sent) {
            connection *next = idle.front();
            idle.pop_front();
            uint64_t when = due(sent);
            if (next->idle_since() <= when) // else it was the server that it has waited for
                found.late.add(now_ns() - when);
            next->ask(when);
        }
        found.most_waiting = std::max(found.most_waiting, due_until_now - sent);
        if (sent < requests && !idle.empty())
            wake_at(due(sent));
        turn(on_answer, true);
    }
    found.ns = now_ns() - begin;
    return found;
}

void load::check_quiet()
{
    turn([](connection &) { fail("an answer that nobody has asked for"); }, false);
}

} // namespace native
