#include "backend/signals.h"

namespace iocp {

namespace {

// What the handler may touch. It runs on a thread of its own for Ctrl-C, and on the raising thread otherwise. It calls
// the kernel, so that no lock is held: a base that it may have found stays while it counts among the posters.
struct signal_state {
    std::atomic<backend *> receiver;
    std::atomic<unsigned> posters;
    std::atomic<int> unclaimed[signal_numbers]; // caught while no base had the signals
    std::atomic<int> bases[signal_numbers];     // that have set a handler for it
};

signal_state state;

// While one lives, a base that it finds as the receiver is not freed.
class signals_use {
public:
    signals_use() { ++state.posters; }
    ~signals_use() { --state.posters; }
    signals_use(const signals_use &) = delete;
    signals_use &operator=(const signals_use &) = delete;
};

void signals_post_wake(backend *receiver)
{
    if (!receiver->signals.posted.exchange(true) &&
        sys::port_post(receiver->port->for_libevent.port, port_uncounted_key, 0, &receiver->signals.wake.overlapped) !=
            0)
        receiver->signals.posted = false; // the next signal tries again, and is counted with this one
}

// Nobody looks any more at a base that has not been the receiver since before this call.
void signals_await_posters()
{
    for (unsigned looks = 0; state.posters != 0; ++looks)
        sys::let_others_run(looks);
}

void __cdecl signals_on_signal(int number)
{
    int socket_error = WSAGetLastError();
    int error = errno;
    signal(number, signals_on_signal); // the C run-time of Windows resets a handler when it runs
    {
        signals_use held;
        backend *receiver = state.receiver; // looked at only now: who changes it looks at the posters then
        (receiver != nullptr ? receiver->signals.caught : state.unclaimed)[number].fetch_add(1);
        if (receiver != nullptr)
            signals_post_wake(receiver);
    }
    errno = error;
    WSASetLastError(socket_error);
}

void signals_set_receiver(backend *receiver)
{
    if (state.receiver.exchange(receiver) != nullptr)
        return;
    signals_await_posters(); // one may have found nobody, and has not counted its signal yet
    bool any = false;
    for (int number = 0; number < signal_numbers; ++number) {
        int count = state.unclaimed[number].exchange(0);
        receiver->signals.caught[number].fetch_add(count);
        any = any || count != 0;
    }
    if (any)
        signals_post_wake(receiver);
}

// Some other base may have signals, and takes them in its next turn.
void signals_give_up(backend *owner)
{
    backend *receiver = owner;
    state.receiver.compare_exchange_strong(receiver, nullptr);
}

// Whoever waits for one operation's end (port_await) takes this one, too, and it may be that a signal's callback is running.
// In another thread, event_active waits for that callback, which may be waiting for this thread, or free the event; in the
// callback's own, the calls that are left for it are forgotten. So it is left to the loop's turn, when no callback runs.
void signal_wake_packet(struct event_overlapped *record, ev_uintptr_t, ev_ssize_t, int)
{
    EVUTIL_UPCAST(record, backend, signals.wake)->signals.taken = true;
}

// Another base that has some. What the program does when it is warned takes as long as it takes, and may free a base: nobody
// is kept waiting by us then.
const void *signals_find_another(const backend *owner)
{
    signals_use held;
    const backend *before = state.receiver;
    bool has_some = before != nullptr && before != owner && before->base->sig.ev_n_signals_added > 0;
    return has_some ? before->base : nullptr;
}

int signals_add(struct event_base *base, evutil_socket_t number, short, short, void *)
{
    backend *owner = backend_of(base);
    EVUTIL_ASSERT(number >= 0 && number < signal_numbers);
    const void *another = signals_find_another(owner);
    if (another != nullptr)
        event_warnx("Signals are being added to event_base %p while event_base %p has some: one base at a time "
                    "receives signals, the one that added the last",
                    static_cast<void *>(base), another);
    if (state.bases[number].fetch_add(1) == 0)
        state.unclaimed[number] = 0; // of long ago, for nobody
    signals_set_receiver(owner);
    ++base->sig.ev_n_signals_added;
    if (evsig_set_handler_(base, static_cast<int>(number), signals_on_signal) == 0)
        return 0;
    --state.bases[number];
    if (--base->sig.ev_n_signals_added == 0)
        signals_give_up(owner);
    return -1;
}

int signals_del(struct event_base *base, evutil_socket_t number, short, short, void *)
{
    EVUTIL_ASSERT(number >= 0 && number < signal_numbers);
    int result = evsig_restore_handler_(base, static_cast<int>(number));
    --state.bases[number];
    if (--base->sig.ev_n_signals_added == 0)
        signals_give_up(backend_of(base));
    return result;
}

const struct eventop signal_ops = {
    "iocp_signal", nullptr, signals_add, signals_del, nullptr, nullptr, 0, static_cast<event_method_feature>(0), 0,
};

} // namespace

void signals_init(backend *owner)
{
    event_overlapped_init_(&owner->signals.wake, signal_wake_packet);
    owner->base->evsigsel = &signal_ops;
}

void signals_activate_taken(backend *owner)
{
    owner->signals.taken = false;
    owner->signals.posted = false; // before the counts are read: a signal from here on posts again
    for (int number = 0; number < signal_numbers; ++number) {
        int count = owner->signals.caught[number].exchange(0);
        if (count > 0)
            evmap_signal_active_(owner->base, number, count);
    }
}

void signals_take_if_free(backend *owner)
{
    if (state.receiver == nullptr) // the base that had them is gone
        signals_set_receiver(owner);
}

void signals_dealloc(backend *owner)
{
    const struct evsig_info *info = &owner->base->sig;
    for (int number = 0; number < info->sh_old_max && number < signal_numbers; ++number)
        if (info->sh_old[number] != nullptr)
            --state.bases[number];
    evsig_dealloc_(owner->base); // restores the handlers; there is no socket pair to close
    owner->base->sig.ev_n_signals_added = 0;
    signals_give_up(owner);
    signals_await_posters(); // its port is closed next
}

} // namespace iocp
