#include "plain_events.h"
#include "watcher.h"

#include <memory>

namespace parity {

namespace {

constexpr ULONGLONG hang_ms = 20000;
constexpr int quick_turns = 6; // before a turn that waits
// So often is told again whoever is told for as long as it is ready.
constexpr int surely_again = 2;
constexpr int fill_bytes = 60000;
constexpr int max_fills = 100;

const struct timeval never = {3600, 0}, at_once = {0, 0}, soon = {0, 2000};

void on_tick(evutil_socket_t, short, void *)
{
}

void note(plain_world *w, const std::string &line)
{
    w->out.lines.push_back(line);
}

void turn(plain_world *w, bool wait)
{
    if (!wait && !w->waits) {
        event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        return;
    }
    struct timeval millisecond = {0, 1000};
    event_add(w->tick, &millisecond);
    event_base_loop(w->base, EVLOOP_ONCE);
    event_del(w->tick);
}

// What the kernel says of each descriptor. A failed connect counts as writable, as select's backend has it.
void ask_kernel(plain_world *w, short *ready)
{
    fd_set reads, writes, fails;
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_ZERO(&fails);
    for (int i = 0; i < w->descriptor_count; ++i) {
        FD_SET(w->descriptors[i].on.near_end, &reads);
        FD_SET(w->descriptors[i].on.near_end, &writes);
        FD_SET(w->descriptors[i].on.near_end, &fails);
    }
    struct timeval wait = {0, 0};
    if (select(0, &reads, &writes, &fails, &wait) < 0)
        w->wrong += " select;";
    for (int i = 0; i < w->descriptor_count; ++i) {
        SOCKET one = w->descriptors[i].on.near_end;
        bool can_write = FD_ISSET(one, &writes) || FD_ISSET(one, &fails);
        ready[i] = static_cast<short>((FD_ISSET(one, &reads) ? EV_READ : 0) | (can_write ? EV_WRITE : 0));
    }
}

bool has_peer(const plain_descriptor *on)
{
    return on->on.far_end != INVALID_SOCKET;
}

void peer_takes(plain_world *w, plain_descriptor *on)
{
    while (has_peer(on) && !on->on.stalled && !on->on.far_ended &&
           (on->got.size() < on->expected.size() || on->on.near_shut) && peer_receive(&on->on, &on->got))
        continue;
    if (on->got.size() > on->expected.size() ||
        on->got.compare(on->checked, std::string::npos, on->expected, on->checked, on->got.size() - on->checked) != 0)
        w->wrong += " wrong bytes sent;";
    on->checked = on->got.size();
}

bool peer_has_all(const plain_descriptor *on)
{
    if (!has_peer(on) || on->on.stalled || on->on.far_ended)
        return true;
    return on->got.size() == on->expected.size() && !on->on.near_shut;
}

// Whoever waits for what is ready has been told, and is told again.
bool is_told(plain_world *w, const watcher *self, const short *ready)
{
    auto due = static_cast<short>(watcher_pending(self) & (EV_READ | EV_WRITE) & ready[self->descriptor]);
    if (due == 0)
        return true;
    return self->changes == w->changes && self->told_lately >= surely_again && (self->told_of_lately & due) == due;
}

bool is_quiet(plain_world *w, std::string *why)
{
    short ready[max_descriptors];
    for (int i = 0; i < w->descriptor_count; ++i) {
        plain_descriptor *on = &w->descriptors[i];
        peer_takes(w, on);
        *why = "the peer of " + std::to_string(i);
        if (!peer_has_all(on))
            return false;
    }
    ask_kernel(w, ready);
    for (const watcher &one : w->watchers) {
        *why = "watcher " + std::to_string(one.index) + " is not told";
        if (one.made != nullptr && !is_told(w, &one, ready))
            return false;
        if (one.made != nullptr && event_pending(one.made, EV_TIMEOUT, nullptr) && one.hurries)
            return false;
    }
    return true;
}

std::string log_of(watcher *self)
{
    static const char *const times[] = {"no", "once", "again"};
    std::string line = "watcher " + std::to_string(self->index) + ":";
    if (self->made == nullptr)
        line += " none,";
    // Of both, or of what the program has activated and what is ready, it may be told in one turn or in two.
    if (self->was_activated || watcher_goes_to_and_fro(self) ||
        (self->events & (EV_READ | EV_WRITE)) == (EV_READ | EV_WRITE))
        line += self->calls != 0 ? " told" : "";
    else
        line += std::string(" told ") + times[self->calls < 2 ? self->calls : 2] + " " + std::to_string(self->told);
    line += " pending " + std::to_string(watcher_pending(self));
    self->calls = 0;
    self->told = 0;
    self->was_activated = false;
    return line;
}

std::string log_of(plain_descriptor *on)
{
    std::string line = " read=" + std::to_string(on->on.read);
    if (!on->was_stalled)
        line += " received=" + std::to_string(on->got.size());
    if (on->on.far_ended && !on->on.far_reset)
        line += " ended";
    line += " readers:" + on->order[0] + " writers:" + on->order[1];
    on->order[0].clear();
    on->order[1].clear();
    return line;
}

void log_step(plain_world *w)
{
    for (int i = 0; i < w->descriptor_count; ++i)
        note(w, "descriptor " + std::to_string(i) + ":" + log_of(&w->descriptors[i]));
    for (watcher &one : w->watchers)
        if (one.made != nullptr || one.calls != 0)
            note(w, log_of(&one));
    if (!w->wrong.empty())
        note(w, "WRONG:" + w->wrong);
}

void sync(plain_world *w)
{
    std::string why;
    ULONGLONG give_up = 0;
    int quiet_turns = 0;
    ++w->changes;
    for (int i = 0; quiet_turns < 2 && !w->out.hung; ++i) {
        turn(w, i > quick_turns && quiet_turns == 0);
        quiet_turns = is_quiet(w, &why) ? quiet_turns + 1 : 0;
        if (i <= quick_turns || quiet_turns != 0)
            continue;
        ULONGLONG now = GetTickCount64();
        if (give_up == 0)
            give_up = now + hang_ms;
        w->out.hung = now > give_up;
    }
    if (w->out.hung)
        note(w, "HANGS: " + why);
    log_step(w);
}

// While no bytes are on their way: a select may see them before it runs, and the packet of a poll may come when it has read
// them. Then one tells of them and the other does not.
void activate(watcher *self, short what)
{
    sync(self->of);
    watcher_activate(self, what);
    sync(self->of);
}

// With a timeout, where nothing else can come.
void time_out(plain_world *w, watcher *self)
{
    sync(w);
    short ready[max_descriptors];
    ask_kernel(w, ready);
    short waits = static_cast<short>(watcher_pending(self) & (EV_READ | EV_WRITE));
    if (self->made == nullptr || waits == 0 || (waits & ready[self->descriptor]) != 0 || w->out.hung)
        return;
    self->timed_out = false;
    self->next = deed::none;
    watcher_add(self, &soon);
    ULONGLONG begun = GetTickCount64();
    while (!self->timed_out && GetTickCount64() - begun < hang_ms)
        turn(w, true);
    note(w, std::string("timed out: ") + (self->timed_out ? "yes" : "NO"));
    sync(w);
    if (self->made != nullptr)
        watcher_add(self, &never);
}

// Nothing more can be written, until the peer reads on.
void stall(plain_world *w, int index)
{
    plain_descriptor *on = &w->descriptors[index];
    if (!has_peer(on) || on->on.near_shut || on->on.was_reset || on->on.far_ended)
        return;
    peer_stall(&on->on);
    on->was_stalled = true;
    for (int i = 0; i < max_fills; ++i) {
        while (descriptor_send(w, on, fill_bytes) > 0)
            continue;
        if (!becomes_writable(on->on.near_end))
            return;
    }
    w->wrong += " cannot be filled;";
}

void resume(plain_world *w, int index)
{
    plain_descriptor *on = &w->descriptors[index];
    if (!on->on.stalled)
        return;
    on->on.stalled = false;
    short ready[max_descriptors] = {};
    for (int i = 0; i < max_fills && (!peer_has_all(on) || (ready[index] & EV_WRITE) == 0); ++i) {
        peer_takes(w, on);
        ask_kernel(w, ready);
    }
    ++w->changes;
}

// Where a reset overtakes bytes, whether the program has them is chance: they are read before, or there is none.
void reset(plain_world *w, plain_descriptor *on)
{
    if (reset_overtakes_bytes()) {
        sync(w);
        if (!has_peer(on) || on->on.read < on->on.sent)
            return;
    }
    peer_reset(&on->on);
}

void apply_to_peer(plain_world *w, const operation &what)
{
    plain_descriptor *on = &w->descriptors[what.subject];
    ++w->changes;
    if (what.kind == op_kind::peer_stall)
        stall(w, what.subject);
    else if (what.kind == op_kind::peer_resume)
        resume(w, what.subject);
    else if (!has_peer(on))
        return;
    else if (what.kind == op_kind::peer_reset)
        reset(w, on);
    else if (!on->on.finished && what.kind == op_kind::peer_send)
        peer_send(&on->on, what.a, what.b);
    else if (!on->on.finished)
        peer_finish(&on->on);
}

void apply_to_descriptor(plain_world *w, const operation &what)
{
    plain_descriptor *on = &w->descriptors[what.subject];
    bool ended = false;
    switch (what.kind) {
    case op_kind::program_send:
        descriptor_send(w, on, what.a);
        break;
    case op_kind::program_receive:
        descriptor_receive(w, on, what.a, &ended, nullptr);
        break;
    case op_kind::program_shut:
        on->on.near_shut = shutdown(on->on.near_end, SD_SEND) == 0 || on->on.near_shut;
        break;
    case op_kind::program_reuse:
        descriptor_reuse(w, on, what.a != 0, what.b != 0);
        break;
    default:
        apply_to_peer(w, what);
        break;
    }
}

void apply_to_watcher(watcher *self, const operation &what)
{
    static const struct timeval *const timeouts[] = {nullptr, &never, &at_once};
    switch (what.kind) {
    case op_kind::event_add:
        self->hurries = what.a == 2;
        watcher_add(self, timeouts[what.a]);
        break;
    case op_kind::event_del:
        watcher_del(self);
        break;
    case op_kind::event_free:
        watcher_free(self);
        break;
    case op_kind::event_activate:
        activate(self, static_cast<short>(what.a));
        break;
    case op_kind::event_priority:
        watcher_set_priority(self, what.a);
        break;
    case op_kind::event_hook:
        self->next = static_cast<deed>(what.a);
        self->other = what.b;
        self->bytes = what.c;
        break;
    default:
        time_out(self->of, self);
        break;
    }
}

void apply(plain_world *w, const operation &what)
{
    if (what.kind == op_kind::sync)
        sync(w);
    else if (what.kind == op_kind::event_make)
        watcher_make(&w->watchers[what.subject], what.a, static_cast<short>(what.b), static_cast<manner>(what.c));
    else if (what.kind < op_kind::event_make || what.kind > op_kind::event_time_out)
        apply_to_descriptor(w, what);
    else if (w->watchers[what.subject].made != nullptr)
        apply_to_watcher(&w->watchers[what.subject], what);
}

bool begin(plain_world *w, const script &of, base_kind kind)
{
    w->base = new_base(kind, of.locks, of.priorities);
    if (w->base == nullptr)
        return false;
    w->tick = evtimer_new(w->base, on_tick, nullptr);
    w->waits = of.waits;
    w->priorities = of.priorities;
    w->descriptor_count = of.descriptors;
    for (int i = 0; i < max_watchers; ++i) {
        w->watchers[i].of = w;
        w->watchers[i].index = i;
        w->watchers[i].next = deed::none;
        w->watchers[i].priority = of.priorities / 2;
    }
    for (int i = 0; i < of.descriptors; ++i) {
        w->descriptors[i].on.ipv6 = has_ipv6() && (of.ipv6 >> i & 1) != 0;
        if (!connection_make(&w->descriptors[i].on, w->next_connection++))
            return false;
    }
    return w->tick != nullptr;
}

void close_all(plain_world *w)
{
    for (int i = 0; i < w->descriptor_count; ++i) {
        closesocket(w->descriptors[i].on.near_end);
        if (has_peer(&w->descriptors[i]))
            closesocket(w->descriptors[i].on.far_end);
    }
}

// Programs free their events before they close, or after it.
void end(plain_world *w, bool closes_first)
{
    if (closes_first)
        close_all(w);
    for (watcher &one : w->watchers)
        watcher_free(&one);
    if (!closes_first)
        close_all(w);
    turn(w, false);
    event_free(w->tick);
    event_base_free(w->base);
}

} // namespace

trace run_plain_events(const script &of, base_kind kind)
{
    auto w = std::make_unique<plain_world>();
    if (!begin(w.get(), of, kind)) {
        note(w.get(), "cannot begin");
        w->out.hung = true;
        return w->out;
    }
    for (const operation &next : of.operations)
        if (!w->out.hung)
            apply(w.get(), next);
    end(w.get(), of.seed % 2 == 0);
    return w->out;
}

} // namespace parity
