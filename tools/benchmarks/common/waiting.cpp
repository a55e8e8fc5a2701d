#include "tools/benchmarks/common/waiting.h"

#include <stdio.h>

#include <algorithm>

namespace bench {

namespace {

constexpr double callback_seconds = 50e-6;
constexpr int timer_ms = 1;
const char *const names[quiet_event_count] = {"connection", "timer", "wakeup", "signal"};

void send_some(SOCKET socket)
{
    char bytes[64] = {};
    if (send(socket, bytes, sizeof(bytes), 0) != sizeof(bytes))
        fail("send", WSAGetLastError());
}

} // namespace

waiting::waiting(const scenario &what, waiting_loop *peer)
    : loop(peer), wake_now(CreateEventW(nullptr, FALSE, FALSE, nullptr))
{
    loop->owner = this;
    socket_pair pair;
    for (int i = 0; i < what.connections; ++i) {
        connect_pair(&pair);
        feeders.push_back(pair.client);
        loop->watch_busy(pair.server, i);
    }
    connect_pair(&pair);
    quiet = pair.client;
    loop->watch_quiet(pair.server);
    if (wake_now == nullptr || CreateThread(nullptr, 0, waking_thread, this, 0, nullptr) == nullptr)
        fail("no thread", static_cast<int>(GetLastError()));
    for (int i = 0; i < what.connections; ++i)
        feed(i);
}

DWORD WINAPI waiting::waking_thread(void *context)
{
    auto *self = static_cast<waiting *>(context);
    while (WaitForSingleObject(self->wake_now, INFINITE) == WAIT_OBJECT_0) {
        self->begin();
        self->loop->wake();
    }
    return 1;
}

// From here on the event waits.
void waiting::begin()
{
    since_time = seconds_now();
    since = callbacks.load();
}

void waiting::feed(int index)
{
    send_some(feeders[static_cast<size_t>(index)]);
}

void waiting::make_event()
{
    pending = next;
    next = static_cast<quiet_event>((next + 1) % quiet_event_count);
    since = -1;
    switch (pending) {
    case quiet_connection:
        begin();
        send_some(quiet);
        break;
    case quiet_timer:
        due = seconds_now() + timer_ms * 1e-3;
        loop->start_timer(timer_ms);
        break;
    case quiet_wakeup:
        SetEvent(wake_now);
        break;
    default:
        begin();
        if (!loop->raise_signal())
            done_with_event(); // so that the others are as many as elsewhere
    }
}

void waiting::done_with_event()
{
    pending = quiet_event_count;
    // Another number each time, so that the event is made at another place among the busy ones.
    pause = 7 + left * 37 % 31;
    if (--left == 0)
        loop->stop_loop();
}

void waiting::busy_read(int index)
{
    double start = seconds_now();
    ++callbacks;
    if (pending == quiet_timer && since < 0 && start >= due)
        begin();
    // (A loop that is told to stop may go through all the others first.)
    if (left > 0 && pending == quiet_event_count && --pause <= 0)
        make_event();
    while (seconds_now() - start < callback_seconds)
        continue;
    feed(index);
}

void waiting::served(quiet_event what)
{
    if (what != pending)
        fail("an event came that was not made", what);
    bool noticed = since >= 0;
    all[what].push_back({noticed ? callbacks - since : 0, noticed ? seconds_now() - since_time : 0});
    done_with_event();
}

// What is reported is the last run's.
void waiting::run(long units)
{
    left = units;
    for (auto &each : all)
        each.clear();
    loop->run_loop();
    if (left != 0)
        fail("the loop has ended early", 0);
}

// The median, the 99th percentile and the most.
void waiting::print(const char *name, const char *unit, std::vector<double> found)
{
    if (found.empty())
        return;
    std::sort(found.begin(), found.end());
    auto at = [&found](double part) {
        return found[static_cast<size_t>(part * static_cast<double>(found.size() - 1))];
    };
    printf("waited %s %s %.1f %.1f %.1f\n", name, unit, at(.5), at(.99), at(1));
}

void waiting::report()
{
    for (int i = 0; i < quiet_event_count; ++i) {
        std::vector<double> others, times;
        for (const waited &each : all[i]) {
            others.push_back(static_cast<double>(each.callbacks));
            times.push_back(1e6 * each.seconds);
        }
        print(names[i], "callbacks", others);
        print(names[i], "us", times);
    }
}

} // namespace bench
