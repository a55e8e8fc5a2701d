#include "layers.h"
#include "peer_pipe.h"
#include "plain_events.h"
#include "serving.h"
#include "sharing.h"

#include <stdio.h>
#include <string.h>

namespace parity {

namespace {

const char *const names[] = {
    "sync",
    "enable",
    "disable",
    "write",
    "write_many",
    "drain",
    "frame",
    "read_watermark",
    "write_watermark",
    "idle",
    "set_callbacks",
    "set_descriptor",
    "flush",
    "rate_limit",
    "join_group",
    "priority",
    "hook",
    "free",
    "shut_write",
    "connect",
    "output",
    "input",
    "exit_with_reply",
    "reuse_number",
    "peer_send",
    "peer_finish",
    "peer_reset",
    "peer_leave",
    "peer_stall",
    "peer_sip",
    "listener_connect",
    "listener_enable",
    "listener_hook",
    "listener_free",
    "ask",
    "ask_cancel",
    "ask_stall",
    "ask_close",
    "share_listen",
    "share_enable",
    "share_free",
    "share_hook",
    "share_stand_still",
    "share_resume",
    "share_leave",
    "share_connect",
    "event_make",
    "event_add",
    "event_del",
    "event_free",
    "event_activate",
    "event_priority",
    "event_hook",
    "event_time_out",
    "program_send",
    "program_receive",
    "program_shut",
    "program_reuse",
    "peer_resume",
    "layer_write",
    "layer_enable",
    "layer_disable",
    "layer_watermark",
    "layer_flush",
    "layer_take",
    "layer_way",
    "layer_hook",
    "layer_free",
    "serve_ask",
    "serve_answer",
    "serve_finish",
    "serve_leave",
    "serve_time_out",
    "serve_stall",
    "serve_free",
};
static_assert(sizeof(names) / sizeof(names[0]) == static_cast<size_t>(op_kind::count), "one name each");

const char *const moments[] = {"read", "write", "connected", "ended", "failed", "timed_out"};
const char *const actions[] = {"free",  "stop_reading", "stop_writing",  "start",
                               "write", "no_callbacks", "no_descriptor", "drain"};

} // namespace

unsigned form_of_pipe(const script &of, int connection)
{
    return static_cast<unsigned>(of.pipes >> connection * static_cast<int>(form_bits)) & ((1u << form_bits) - 1);
}

const char *name_of(flavour about)
{
    static const char *const flavours[] = {"bufferevents", "plain-events", "layers", "sharing",
                                           "serving",      "shortage",     "pipes"};
    static_assert(sizeof(flavours) / sizeof(flavours[0]) == static_cast<size_t>(flavour::count), "one name each");
    return flavours[static_cast<int>(about)];
}

bool is_flavour(const char *name)
{
    for (int i = 0; i < static_cast<int>(flavour::count); ++i)
        if (strcmp(name, name_of(static_cast<flavour>(i))) == 0)
            return true;
    return false;
}

std::string describe(const operation &of)
{
    char text[160];
    std::string plain = describe_plain(of);
    if (!plain.empty())
        return plain;
    if (of.kind == op_kind::hook)
        snprintf(text, sizeof(text), "%d: hook on %s: %s (%d)", of.subject, moments[of.a], actions[of.b], of.c);
    else
        snprintf(text, sizeof(text), "%d: %s %d %d %d", of.subject, names[static_cast<int>(of.kind)], of.a, of.b, of.c);
    return text;
}

std::string describe(const script &of)
{
    std::string text;
    char line[200];
    if (of.about == flavour::sharing)
        text += describe_sharing(of);
    if (of.about == flavour::plain_events)
        text += describe_plain(of);
    if (of.about == flavour::layers)
        text += describe_layers(of);
    if (of.about == flavour::serving)
        text += describe_serving(of);
    for (int i = 0; i < of.subjects; ++i) {
        snprintf(line, sizeof(line), "  bufferevent %d: options 0x%x, %s\n", i, static_cast<unsigned>(of.options[i]),
                 of.starts_connected[i] ? "connected" : "no descriptor");
        text += line;
    }
    if (of.listens) {
        snprintf(line, sizeof(line), "  listener: flags 0x%x%s\n", of.listener_flags, of.listens_ipv6 ? ", IPv6" : "");
        text += line;
    }
    if (of.about == flavour::shortage)
        text += "  of the allocations while the loop turns, from number " + std::to_string(of.denied_first) + " on " +
                std::to_string(of.denied) + " fail\n";
    if (of.asks)
        text += "  an evhttp client\n";
    if (of.ipv6 != 0) {
        snprintf(line, sizeof(line), "  connections of IPv6: bits 0x%x\n", of.ipv6);
        text += line;
    }
    if (of.about == flavour::pipes)
        for (int i = 0; i < max_connections; ++i)
            text += "  pipe " + std::to_string(i) + ": " + describe_form(form_of_pipe(of, i)) + "\n";
    for (size_t i = 0; i < of.operations.size(); ++i) {
        snprintf(line, sizeof(line), "  [%d] ", static_cast<int>(i));
        text += line + describe(of.operations[i]) + "\n";
    }
    return text;
}

} // namespace parity
