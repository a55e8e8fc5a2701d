#include "backend/signals.h"

#include <atomic>
#include <signal.h>

namespace iocp {

namespace {

// What the handler may touch. It runs on a thread of its own for Ctrl-C, and on the raising thread otherwise. It calls
// the kernel, so that no lock is held: whose port it may have found stays open while it counts among the posters.
struct signal_state {
    std::atomic<backend *> receiver;
    std::atomic<unsigned> posters;
    std::atomic<bool> posted;
    std::atomic<int> caught[NSIG];
};

signal_state state;

void signals_post_wake()
{
    ++state.posters;
    backend *receiver = state.receiver; // looked at only now: who changes it looks at the posters then
    if (receiver != nullptr && !state.posted.exchange(true) &&
        sys::port_post(receiver->port->for_libevent.port, port_uncounted_key, 0, &receiver->signal_wake.overlapped) !=
            0)
        state.posted = false; // the next signal tries again, and is counted with this one
    --state.posters;
}

// Nobody posts any more to a base that has not been the receiver since before this call.
void signals_await_posters()
{
    while (state.posters != 0)
        sys::let_others_run();
}

void __cdecl signals_on_signal(int number)
{
    int socket_error = WSAGetLastError();
    int error = errno;
    signal(number, signals_on_signal); // the C run-time of Windows resets a handler when it runs
    state.caught[number].fetch_add(1);
    signals_post_wake();
    errno = error;
    WSASetLastError(socket_error);
}

void signals_set_receiver(backend *receiver)
{
    state.receiver = receiver;
    signals_await_posters(); // else one that has found the receiver before could take the next line back
    state.posted = false;
    // Caught for the receiver before, perhaps, whose port has the packet: post once more.
    bool waiting = false;
    for (const std::atomic<int> &count : state.caught)
        waiting = waiting || count != 0;
    if (waiting)
        signals_post_wake();
}

void signal_wake_packet(struct event_overlapped *record, ev_uintptr_t, ev_ssize_t, int)
{
    auto *owner = EVUTIL_UPCAST(record, backend, signal_wake);
    if (state.receiver != owner)
        return;
    state.posted = false; // before the counts are read: a signal from here on posts again
    for (int number = 0; number < NSIG; ++number) {
        int count = state.caught[number].exchange(0);
        if (count > 0)
            evmap_signal_active_(owner->base, number, count);
    }
}

int signals_add(struct event_base *base, evutil_socket_t number, short, short, void *)
{
    backend *owner = backend_of(base);
    EVUTIL_ASSERT(number >= 0 && number < NSIG);
    const backend *before = state.receiver;
    if (before != nullptr && before != owner && before->base->sig.ev_n_signals_added > 0)
        event_warnx("Signals are being added to event_base %p while event_base %p has some: one base at a time "
                    "receives signals, the one that added the last",
                    static_cast<void *>(base), static_cast<void *>(before->base));
    signals_set_receiver(owner);
    state.caught[number] = 0;
    ++base->sig.ev_n_signals_added;
    if (evsig_set_handler_(base, static_cast<int>(number), signals_on_signal) == 0)
        return 0;
    --base->sig.ev_n_signals_added;
    return -1;
}

int signals_del(struct event_base *base, evutil_socket_t number, short, short, void *)
{
    EVUTIL_ASSERT(number >= 0 && number < NSIG);
    --base->sig.ev_n_signals_added;
    return evsig_restore_handler_(base, static_cast<int>(number));
}

const struct eventop signal_ops = {
    "iocp_signal", nullptr, signals_add, signals_del, nullptr, nullptr, 0, static_cast<event_method_feature>(0), 0,
};

} // namespace

void signals_init(backend *owner)
{
    event_overlapped_init_(&owner->signal_wake, signal_wake_packet);
    owner->base->evsigsel = &signal_ops;
}

bool signals_waiting()
{
    return state.posted;
}

void signals_claim(backend *owner)
{
    // The base that had them is gone.
    if (state.receiver == nullptr && owner->base->sig.ev_n_signals_added > 0)
        signals_set_receiver(owner);
}

void signals_dealloc(backend *owner)
{
    evsig_dealloc_(owner->base); // restores the handlers; there is no socket pair to close
    owner->base->sig.ev_n_signals_added = 0;
    backend *receiver = owner;
    bool had_them = state.receiver.compare_exchange_strong(receiver, nullptr);
    signals_await_posters(); // its port is closed next
    if (had_them)
        state.posted = false;
}

} // namespace iocp
