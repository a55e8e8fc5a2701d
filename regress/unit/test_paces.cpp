// The policies of a turn of the loop, each held to the invariants that its header states, whatever happens to it.
#include "support/check.h"

#include <initializer_list>
#include <stdlib.h>

#include "backend/find_pace.h"
#include "backend/first_look.h"
#include "backend/look_pace.h"
#include "backend/send_round.h"
#include "backend/together_pace.h"

using namespace iocp;

namespace {

constexpr int steps = 100000;
constexpr unsigned many = 5000; // of what should end much sooner

bool happens(int in_a_hundred)
{
    return rand() % 100 < in_a_hundred;
}

void a_turn_starts_some_and_not_too_many(void **)
{
    for (int waits_often = 0; waits_often <= 100; waits_often += 5) {
        find_pace pace = {};
        for (int i = 0; i < steps / 20; ++i) {
            unsigned most = find_pace_most(&pace);
            assert_in_range(most, 1, max_finds);
            bool waited = happens(waits_often);
            find_pace_keep(&pace, waited ? 1 : most, waited);
            assert_true(waited ? find_pace_most(&pace) == 1 : find_pace_most(&pace) >= most);
            assert_true(pace.caution <= max_caution);
        }
    }
}

// Each failure doubles what it takes to go faster, up to a limit; as fast as can be, it is forgotten.
void going_faster_is_tried_less_often_when_it_fails(void **)
{
    find_pace pace = {};
    for (unsigned failures = 1; failures <= max_caution + 2; ++failures) {
        find_pace_keep(&pace, 1, true);
        unsigned turns = 0;
        for (; find_pace_most(&pace) == 1 && turns < many; ++turns)
            find_pace_keep(&pace, 1, false);
        unsigned doublings = failures < max_caution ? failures : max_caution;
        assert_int_equal(turns, finds_until_faster << doublings);
    }
    for (unsigned i = 0; i < many && find_pace_most(&pace) < max_finds; ++i)
        find_pace_keep(&pace, max_finds, false);
    assert_int_equal(pace.caution, 0);
}

void nobody_is_overtaken_for_ever(void **)
{
    find_pace pace = {};
    unsigned turns = 0;
    for (; !find_pace_all_are_due(&pace); ++turns) {
        assert_true(turns <= max_turns_overtaken);
        pace.any_at_front = true;
        find_pace_left(&pace, true);
    }
    find_pace_left(&pace, false);
    assert_false(find_pace_all_are_due(&pace));
    // Left over, but not overtaken: their turn comes, in the order in which they wait.
    for (unsigned i = 0; i < 2 * max_turns_overtaken; ++i)
        find_pace_left(&pace, true);
    assert_false(find_pace_all_are_due(&pace));
}

// Turns and looks of any length, and a clock that may stand still.
void looks_take_no_more_than_their_share(void **)
{
    constexpr int64_t cost = 1000;
    for (int64_t turn : {int64_t{0}, cost / 100, cost / 3, cost, 10 * cost, 100 * cost}) {
        look_pace pace = {};
        int64_t now = 1, looking = 0;
        unsigned turns = 0, forced = 0;
        for (int i = 0; i < steps / 10; ++i, now += turn) {
            ++turns;
            if (!look_pace_is_due(&pace, now))
                continue;
            assert_true(turns <= max_turns_without_look + 1);
            forced += turns > max_turns_without_look ? 1u : 0u;
            look_pace_looked(&pace, true, now, now + cost);
            now += cost;
            looking += cost;
            turns = 0;
        }
        assert_true((looking - static_cast<int64_t>(forced + 1) * cost) * look_share <= now);
    }
}

// A look that was interrupted must not count for what looks cost, nor one that brought packets.
void what_a_look_costs_is_not_taken_from_odd_ones(void **)
{
    look_pace pace = {};
    look_pace_looked(&pace, true, 0, 1000);
    look_pace_looked(&pace, true, 0, 1000000);
    assert_true(pace.cost_ns < 1200);
    look_pace_looked(&pace, false, 0, 1000000);
    assert_true(pace.cost_ns < 1200);
    for (int i = 0; i < 100; ++i)
        look_pace_looked(&pace, true, 0, 400);
    assert_in_range(pace.cost_ns, 390, 420);
}

// Not the first one either.
void a_first_look_that_was_interrupted_holds_nobody_up(void **)
{
    look_pace pace = {};
    look_pace_looked(&pace, true, 0, int64_t{180} * 1000 * 1000);
    assert_true(pace.cost_ns <= max_first_cost_ns);
}

void looks_before_receives_end(void **)
{
    first_look looks = {};
    unsigned taken = 0;
    for (; taken < many && first_look_is_due(&looks); ++taken)
        first_look_taken(&looks, true);
    assert_int_equal(taken, max_looks_in_row);
    first_look_receives_started(&looks);
    assert_true(first_look_is_due(&looks));
    first_look_taken(&looks, false);
    unsigned left_out = 0;
    for (; left_out < many && !first_look_is_due(&looks); ++left_out)
        continue;
    assert_int_equal(left_out, looks_left_out);
    first_look_taken(&looks, false);
    first_look_may_bring(&looks);
    assert_true(first_look_is_due(&looks));
}

void nobody_sends_twice_in_a_round(void **)
{
    send_round round = {};
    unsigned never = 0;
    send_round_will_send(&round, never);
    assert_false(round.sender_is_ahead);
    unsigned sent = send_round_now(&round);
    send_round_will_send(&round, sent);
    assert_true(round.sender_is_ahead);
    send_round_will_send(&round, never); // who has not sent yet does not take that back
    assert_true(round.sender_is_ahead);
    send_round_begin(&round);
    send_round_will_send(&round, sent);
    assert_false(round.sender_is_ahead);
}

void receives_are_not_held_back_for_ever(void **)
{
    send_round round = {};
    for (int again = 0; again < 3; ++again) {
        unsigned turns = 1;
        for (; turns < many && !send_round_holds_back(&round); ++turns)
            continue;
        assert_int_equal(turns, max_turns_held_back + 1);
        send_round_all_had_turn(&round);
    }
}

void looks_together_become_rare(void **)
{
    together_pace pace = {};
    unsigned before = 0;
    for (int i = 0; i < 20; ++i) {
        unsigned left_out = 0;
        for (; left_out < many && !together_pace_is_due(&pace); ++left_out)
            continue;
        assert_true(left_out >= before && left_out <= max_looks_together_left_out);
        before = left_out;
        together_pace_looked(&pace, 0);
    }
    assert_int_equal(before, max_looks_together_left_out);
    for (unsigned i = 0; i < max_looks_together_left_out; ++i)
        together_pace_is_due(&pace);
    together_pace_looked(&pace, 1);
    assert_true(together_pace_is_due(&pace));
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_starts_some_and_not_too_many),
        cmocka_unit_test(going_faster_is_tried_less_often_when_it_fails),
        cmocka_unit_test(nobody_is_overtaken_for_ever),
        cmocka_unit_test(looks_take_no_more_than_their_share),
        cmocka_unit_test(a_first_look_that_was_interrupted_holds_nobody_up),
        cmocka_unit_test(what_a_look_costs_is_not_taken_from_odd_ones),
        cmocka_unit_test(looks_before_receives_end),
        cmocka_unit_test(nobody_sends_twice_in_a_round),
        cmocka_unit_test(receives_are_not_held_back_for_ever),
        cmocka_unit_test(looks_together_become_rare),
    };
    return cmocka_run_group_tests_name("paces", tests, nullptr, nullptr);
}
