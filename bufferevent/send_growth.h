// How much of a long output goes by one send, where nothing but libevent's default holds it back.
//
// By that default 64 MiB leave in 4,096 sends. So a send that was as long as it might be and ended soon makes the next one
// twice as long, up to max_grown_size, and one that took long, or could not start, makes the next as short as libevent's: a
// peer that takes little has little in flight, and its sends end often.
//
// But one that was quick may turn slow while a long send is in flight, and how much of it has gone nobody can see: it
// ends when all of it has, and the timeouts of whoever waits for that do not begin anew before. So what a timeout waits
// for (a write timeout, or the time that a closed socket may linger) must not be longer than a peer takes that is only
// slow: a write timeout bounds what is started (send_growth_within), and a socket that is closed over something long
// lingers for as long as its pieces would have (send_growth_lasting).
//
// Invariants: beyond libevent's default, all streams of a base together send no more than max_grown_in_turn in one turn of
// its loop, and the next turn starts all receives and looks at the port: so nobody waits for two turns of long sends. And
// they have no more than max_grown_in_flight in flight, whatever becomes of their peers; nor more than half of what may be
// on its way of sockets that are closed (event_base_iocp_set_lingering), so that none is reset for what others have grown.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_SEND_GROWTH_H
#define LIBEVENT_IOCP_BUFFEREVENT_SEND_GROWTH_H

#include <stddef.h>
#include <stdint.h>

namespace iocp {

// What libevent writes at once unless its program says otherwise (bufferevent_set_max_single_write).
constexpr unsigned default_send_size = 16 * 1024;

constexpr unsigned char max_doublings = 4;
constexpr unsigned max_grown_size = default_send_size << max_doublings;

// The slowest peer, in bytes a second, that may have a send longer than the default where somebody waits for its end: a
// long send asks for no more of it. (8 kbit/s: less than a voice takes, or a telephone whose data has been used up.) A
// timeout of 16 s or less asks for more by one send of the default length.
constexpr unsigned slowest_peer_rate = 1024;

// From its start to its packet.
constexpr uint32_t quick_send_ms = 50;
constexpr uint32_t slow_send_ms = 200;

constexpr size_t max_grown_in_turn = 1024 * 1024;
constexpr size_t max_grown_in_flight = 16 * 1024 * 1024;

// A base's: bytes beyond the default.
struct send_growth {
    size_t in_flight;
    size_t in_turn;
    uint64_t turn; // which one that is
};

// How long the next send of a stream may be, `most` at most. All are multiples of the default. `lingering`: the limit of
// what is on its way of sockets that are closed.
inline size_t send_growth_next(send_growth *self, uint64_t turn, unsigned char doublings, size_t most, size_t lingering)
{
    if (self->turn != turn) {
        self->turn = turn;
        self->in_turn = 0;
    }
    size_t grown = (static_cast<size_t>(default_send_size) << doublings) - default_send_size;
    size_t wanted = most - default_send_size;
    size_t left_in_turn = max_grown_in_turn - self->in_turn;
    size_t in_flight = lingering / 2 < max_grown_in_flight ? lingering / 2 : max_grown_in_flight;
    size_t left_in_flight = self->in_flight < in_flight ? in_flight - self->in_flight : 0;
    grown = grown < wanted ? grown : wanted;
    grown = grown < left_in_turn ? grown : left_in_turn;
    grown = grown < left_in_flight ? grown : left_in_flight;
    return default_send_size + grown / default_send_size * default_send_size;
}

// How long a send may be whose end a write timeout of so many seconds waits for: a multiple of the default.
inline size_t send_growth_within(uint64_t seconds)
{
    uint64_t pieces = seconds < max_grown_size / slowest_peer_rate ? seconds * slowest_peer_rate / default_send_size
                                                                   : max_grown_size / default_send_size;
    return static_cast<size_t>(pieces > 1 ? pieces : 1) * default_send_size;
}

// By how many times the default the sends that the kernel may still have are longer, at most, when one of that length is
// started. Windows keeps what it has taken as it was handed over: one that ended at once may be before the next for as
// long as its peer takes for all of it, and so may the one before. None is forgotten at once, therefore.
inline unsigned char send_growth_lasting(unsigned char lasting, size_t length)
{
    constexpr size_t most = max_grown_size / default_send_size - 1; // more than one of TLS, whose queue has a limit
    size_t longer = length > default_send_size ? (length - 1) / default_send_size : 0;
    longer = longer < most ? longer : most;
    lasting /= 2;
    return longer > lasting ? static_cast<unsigned char>(longer) : lasting;
}

// A send was as long as it might be, and has ended.
inline unsigned char send_growth_after(unsigned char doublings, uint32_t took_ms)
{
    if (took_ms > slow_send_ms)
        return 0;
    return took_ms <= quick_send_ms && doublings < max_doublings ? static_cast<unsigned char>(doublings + 1)
                                                                 : doublings;
}

} // namespace iocp

#endif
