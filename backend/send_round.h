// What comes first, sends or receives.
//
// Whatever can be sent is sent before receives are started, since those that find their data there cost least. But a
// sender that gets ahead of a receiver in the same base stays ahead: from then on each sends and receives as much in a
// turn, and all that was sent in between is a queue in the kernel that never gets shorter, and whose memory is cold by
// the time it is read.
//
// Invariants: nobody sends twice before the others have had their chance to receive (a packet that brings bytes is
// one); and receives wait for no more than max_turns_held_back turns in which something else was ready, and then for a
// look that is due.
#ifndef LIBEVENT_IOCP_BACKEND_SEND_ROUND_H
#define LIBEVENT_IOCP_BACKEND_SEND_ROUND_H

namespace iocp {

constexpr unsigned max_turns_held_back = 8;

// All zeros: a first round.
struct send_round {
    unsigned rounds;          // of receives
    unsigned turns_held_back; // since receives and polls had their turn
    bool sender_is_ahead;     // is about to send once more in this round
};

// What a source keeps when it sends; 0: it never has.
inline unsigned send_round_now(const send_round *self)
{
    return self->rounds + 1;
}

// A source can send, and will most likely.
inline void send_round_will_send(send_round *self, unsigned sent_in_round)
{
    self->sender_is_ahead = self->sender_is_ahead || sent_in_round == send_round_now(self);
}

// Receives are started.
inline void send_round_begin(send_round *self)
{
    ++self->rounds;
    self->sender_is_ahead = false;
}

// Asked once a turn: have receives and polls not had their turn for long, since something else was ready each time?
inline bool send_round_holds_back(send_round *self)
{
    return ++self->turns_held_back > max_turns_held_back;
}

// They have, all of them.
inline void send_round_all_had_turn(send_round *self)
{
    self->turns_held_back = 0;
}

} // namespace iocp

#endif
