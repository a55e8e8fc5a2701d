// What calls cost, how late waits end, how much a send takes without waiting: figures for a report, compared with
// nothing.
#include "probe.h"

namespace probe {

namespace {

constexpr int times = 1000;

template <typename Call> std::string cost_of(Call call)
{
    int64_t begun = now_us();
    for (int i = 0; i < times; ++i)
        call();
    return text("%.2f us", static_cast<double>(now_us() - begun) / times);
}

std::string empty_look()
{
    HANDLE port = port_of(INVALID_SOCKET, false);
    OVERLAPPED *of;
    nt_status status;
    std::string seen = cost_of([&] { packet(port, 0, &of, &status); });
    CloseHandle(port);
    return seen;
}

std::string plain_receive_of_nothing()
{
    pair both = connected();
    iocp::sys::set_blocking(both.here, false);
    char byte;
    WSABUF buffer = {1, &byte};
    DWORD got;
    std::string seen = cost_of([&] { iocp::sys::receive_now(both.here, &buffer, 1, &got); });
    close(both);
    return seen;
}

std::string receive_and_cancel()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    WSABUF none = {0, nullptr};
    OVERLAPPED *of;
    nt_status status;
    std::string seen = cost_of([&] {
        OVERLAPPED overlapped = {};
        iocp::sys::receive(both.here, &none, 1, &overlapped, true);
        iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), &overlapped);
        packet(port, soon_us, &of, &status);
    });
    close(both);
    CloseHandle(port);
    return seen;
}

// 64 bytes, by a receive that finds them, or by one that waits for them, its packet, and one that takes them.
std::string message(bool waits)
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    iocp::sys::set_blocking(both.here, false);
    char bytes[64] = {};
    WSABUF buffer = {sizeof(bytes), bytes};
    WSABUF none = {0, nullptr};
    OVERLAPPED *of;
    nt_status status;
    DWORD got;
    std::string seen = cost_of([&] {
        OVERLAPPED overlapped = {};
        if (waits)
            iocp::sys::receive(both.here, &none, 1, &overlapped, true);
        send(both.there, bytes, sizeof(bytes), 0);
        if (waits)
            packet(port, soon_us, &of, &status);
        iocp::sys::receive_now(both.here, &buffer, 1, &got);
    });
    close(both);
    CloseHandle(port);
    return seen;
}

std::string message_that_is_there()
{
    return message(false);
}

std::string message_that_is_waited_for()
{
    return message(true);
}

std::string look_at(unsigned count)
{
    pair both = connected();
    iocp::sys::look looks[64];
    std::string seen = cost_of([&] {
        for (unsigned i = 0; i < count; ++i)
            looks[i] = {both.here, true, false, false};
        iocp::sys::look_now(looks, count);
    });
    close(both);
    return seen;
}

std::string look_at_one()
{
    return look_at(1);
}

std::string look_at_many()
{
    return look_at(64);
}

std::string end_of_waits()
{
    constexpr int waits = 50;
    constexpr int64_t wait_us = 2000;
    HANDLE port = port_of(INVALID_SOCKET, false);
    std::string seen;
    for (bool precise : {false, true}) {
        iocp::sys::precise_clock(precise);
        int64_t worst = 0, sum = 0;
        int early = 0;
        for (int i = 0; i < waits; ++i) {
            OVERLAPPED *of;
            nt_status status;
            int64_t begun = now_us();
            packet(port, wait_us, &of, &status);
            int64_t late = now_us() - begun - wait_us;
            early += late < 0 ? 1 : 0;
            worst = late > worst ? late : worst;
            sum += late;
        }
        seen += text("%s%d us late, %d at worst, %d of %d early", precise ? "; with the precise clock " : "",
                     static_cast<int>(sum / waits), static_cast<int>(worst), early, waits);
    }
    iocp::sys::precise_clock(false);
    CloseHandle(port);
    return seen;
}

std::string sends_at_once(ULONG size)
{
    constexpr int most = 4096;
    static char block[1024 * 1024];
    static OVERLAPPED overlapped[most];
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    WSABUF buffer = {size, block};
    int done = 0;
    for (; done < most; ++done) {
        overlapped[done] = {};
        if (iocp::sys::send(both.here, &buffer, 1, &overlapped[done], true).how != iocp::sys::started::done)
            break;
    }
    iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), nullptr);
    packet_of(port, both.here, soon_us);
    close(both);
    CloseHandle(port);
    return text("%d", done);
}

std::string small_sends_at_once()
{
    return sends_at_once(16 * 1024);
}

std::string large_sends_at_once()
{
    return sends_at_once(1024 * 1024);
}

const question all[] = {
    {"send.16-KiB", "sends of 16 KiB that are done at once, to a peer that does not read", nullptr,
     "bufferevent/stream_send: max_send_size", small_sends_at_once, true},
    {"send.1-MiB", "the same of 1 MiB", nullptr, "bufferevent/stream_send", large_sends_at_once, true},
    {"wait.2-ms", "how late a wait of 2 ms ends", nullptr, "EVENT_BASE_FLAG_PRECISE_TIMER", end_of_waits, true},
    {"cost.look", "a look at a port where nothing is", nullptr, "backend/iocpops: look_share", empty_look, true},
    {"cost.nothing", "a plain receive that finds nothing", nullptr, "backend/README, policies",
     plain_receive_of_nothing, true},
    {"cost.cancel", "a receive of no bytes, cancelled, and its packet", nullptr, "bufferevent/stream_receive",
     receive_and_cancel, true},
    {"cost.there", "64 bytes: send and plain receive", nullptr, "backend/README, policies", message_that_is_there,
     true},
    {"cost.waited-for", "64 bytes: receive of no bytes, send, packet, plain receive", nullptr,
     "backend/README, policies", message_that_is_waited_for, true},
    {"cost.select-1", "one socket looked at by select, without waiting", nullptr, "backend/poll_together", look_at_one,
     true},
    {"cost.select-64", "64 sockets", nullptr, "backend/poll_together", look_at_many, true},
};

} // namespace

questions about_costs()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
